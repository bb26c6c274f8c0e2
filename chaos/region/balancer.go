package region

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tokenring/chaos/network"
)

// A Balancer is lb run, with its generations.
type Balancer struct {
	Name string

	region *Region
	node   *network.Node
	run    *process
}

// ports of a balancer.
const (
	clientPort = 443
	adminPort  = 7000
	peersPort  = 7947
)

// What balancers know of time. The bounds of package oracle follow from them.
const (
	Linger = 30 * time.Second

	balancerConfig = `
name: %[1]s
listen: [{address: "%[2]s", tls: true}]
tls: {certificates: [{cert: ide.crt, key: ide.key}]}
pool: {bind: "%[3]s", join: [%[4]s], secret_file: pool.key}
peers: {bind: "%[5]s", join: [%[6]s], secret_file: peers.key, expect: 3}
health: {path: /healthz, interval: 1s, timeout: 800ms, rise: 2, fall: 3}
admin: {address: "%[7]s", token_file: admin.token, insecure: true}
sessions: {linger: %[8]s}
shutdown: {grace: 1s}
state_dir: %[1]s
`
)

func (b *Balancer) address(port uint16) string {
	return netip.AddrPortFrom(b.node.Addresses[0], port).String()
}

// Address returns where clients connect.
func (b *Balancer) Address() string { return b.address(clientPort) }

// configure writes the balancer's configuration.
func (b *Balancer) configure() error {
	var pool, peers []string
	for _, o := range b.region.Balancers {
		if o != b {
			pool = append(pool, fmt.Sprintf("%q", o.address(poolPort)))
			peers = append(peers, fmt.Sprintf("%q", o.address(peersPort)))
		}
	}
	text := fmt.Sprintf(balancerConfig, b.Name, b.address(clientPort), b.address(poolPort), strings.Join(pool, ", "),
		b.address(peersPort), strings.Join(peers, ", "), b.address(adminPort), Linger)
	return os.WriteFile(filepath.Join(b.region.dir, b.Name+".yaml"), []byte(text), 0o600)
}

func (b *Balancer) start() (err error) {
	b.run, err = start(b.node, b.region.dir, b.Name, b.region.lb, "run", "-c", b.Name+".yaml")
	return err
}

// get asks the admin endpoint, and decodes the answer into v: JSON, or any text into a *[]byte.
// With nil it isn't decoded.
func (b *Balancer) get(ctx context.Context, path string, v any) error {
	return b.ask(ctx, http.MethodGet, path, nil, v)
}

func (b *Balancer) ask(ctx context.Context, method, path string, body []byte, v any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+b.address(adminPort)+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	request.Header.Set("Content-Type", "application/json")
	answer, err := b.region.operator.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s%s: %s: %.200s", method, b.Name, path, answer.Status, text)
	case v == nil:
		return nil
	}
	if raw, ok := v.(*[]byte); ok {
		*raw = text
		return nil
	}
	return json.Unmarshal(text, v)
}

// metrics returns the balancer's metrics by their names and labels, as they stand in /metrics.
func (b *Balancer) metrics(ctx context.Context) (map[string]float64, error) {
	var text []byte
	if err := b.get(ctx, "/metrics", &text); err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			all[name] = n
		}
	}
	return all, nil
}

// ready says why the balancer takes no traffic, nil if it does.
func (b *Balancer) ready(ctx context.Context) error {
	if !b.run.running() {
		return fmt.Errorf("%s has ended: see %s.log", b.Name, b.Name)
	}
	return b.get(ctx, "/readyz", nil)
}

// ctl runs lb ctl as an operator of this balancer.
func (b *Balancer) ctl(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	all := append([]string{"ctl", "--address", "http://" + b.address(adminPort), "--token-file", "admin.token"}, args...)
	cmd := exec.CommandContext(ctx, b.region.lb, all...)
	cmd.Dir = b.region.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("lb ctl %s on %s: %w: %.300s", strings.Join(args, " "), b.Name, err, out)
	}
	return nil
}
