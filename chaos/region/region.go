package region

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"tokenring/chaos/network"
	"tokenring/chaos/record"
	"tokenring/tlsterm"
)

// A Region is three balancers and five hosts. Its methods are for one goroutine, except as they
// say.
type Region struct {
	Balancers []*Balancer
	Hosts     []*Host

	net      *network.Network
	links    *impairments
	dir      string
	self, lb string // programs
	operator http.Client
	ctx      context.Context // of the run: pauses end with it
}

// The sizes of a region.
const (
	balancers = 3
	hosts     = 5
)

const adminToken = "operators-token-of-a-chaos-run"

// Open makes the region's network and files in dir. lb is the program under test. Close must be
// called.
func Open(ctx context.Context, dir, lb string) (*Region, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	net := network.New()
	r := &Region{net: net, links: &impairments{net: net, all: map[*impairment]bool{}}, dir: dir, self: self, lb: lb, ctx: ctx}
	if err := errors.Join(r.nodes(), r.files()); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// nodes makes the network. The users are in the namespace of this process.
func (r *Region) nodes() error {
	at := func(net, host byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, net, host}) }
	if _, err := r.net.AddOwn("users", at(3, 1)); err != nil {
		return err
	}
	for i := range balancers {
		b := &Balancer{Name: fmt.Sprintf("lb-%d", i+1), region: r}
		var err error
		if b.node, err = r.net.Add(b.Name, at(1, byte(i+1))); err != nil {
			return err
		}
		r.Balancers = append(r.Balancers, b)
	}
	for i := range hosts {
		h := &Host{Name: fmt.Sprintf("ide-%d", i+1), region: r, id: i + 1}
		var err error
		if h.node, err = r.net.Add(h.Name, at(2, byte(i+1)), at(2, byte(i+101))); err != nil {
			return err
		}
		r.Hosts = append(r.Hosts, h)
	}
	return nil
}

// files writes configurations, secrets and a certificate.
func (r *Region) files() error {
	cert, key, err := tlsterm.SelfSigned("ide.example.com")
	if err != nil {
		return err
	}
	secret := func() []byte {
		raw := make([]byte, 32)
		_, _ = rand.Read(raw) // never fails
		return []byte(base64.StdEncoding.EncodeToString(raw))
	}
	for name, text := range map[string][]byte{
		"pool.key": secret(), "peers.key": secret(), "admin.token": []byte(adminToken), "ide.crt": cert, "ide.key": key,
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(r.dir, name), text, 0o600))
	}
	for _, b := range r.Balancers {
		err = errors.Join(err, b.configure())
	}
	return err
}

// Start starts all, and waits until each balancer has all hosts in its ring.
func (r *Region) Start() error {
	for _, b := range r.Balancers {
		if err := b.start(); err != nil {
			return err
		}
	}
	for _, h := range r.Hosts {
		if err := h.start(); err != nil {
			return err
		}
	}
	return r.until(60*time.Second, func() error { return r.settled(false) })
}

// Close ends all processes and the network.
func (r *Region) Close() {
	for _, b := range r.Balancers {
		b.run.kill()
	}
	for _, h := range r.Hosts {
		if h.ide != nil {
			h.thaw()
			h.kill()
		}
	}
	r.operator.CloseIdleConnections()
	r.net.Close()
}

// Served returns what all hosts have recorded.
func (r *Region) Served() (all []record.Serving, err error) {
	for _, h := range r.Hosts {
		servings, err := h.served()
		if err != nil {
			return nil, err
		}
		all = append(all, servings...)
	}
	return all, nil
}

// pause waits, or until the run ends.
func (r *Region) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.ctx.Done():
	}
}

// until waits until ok returns nil, at most for patience.
func (r *Region) until(patience time.Duration, ok func() error) error {
	for end := time.Now().Add(patience); ; r.pause(200 * time.Millisecond) {
		err := ok()
		switch {
		case err == nil, r.ctx.Err() != nil:
			return r.ctx.Err()
		case time.Now().After(end):
			return fmt.Errorf("waited %v in vain: %w", patience, err)
		}
	}
}
