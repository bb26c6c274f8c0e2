package stream

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tokenring/netaddr"
)

// The bounds of connections that aren't streams yet.
const (
	maxHandshakes       = 32          // at a time, from where peers are, and as many from elsewhere
	maxSourceHandshakes = 8           // at a time, of one source
	sourceRate          = 20          // a second, of one source
	sourceBurst         = 40          // at once, of one source
	maxSources          = 1024        // that are remembered, beside those with handshakes
	idleSource          = time.Minute // after which a source is forgotten
)

// What is wrong with connections, or with their source.
var (
	errSource = fmt.Errorf("there are %d handshakes from there at a time already", maxSourceHandshakes)
	errAll    = fmt.Errorf("there are %d handshakes at a time already", maxHandshakes)
	errRate   = errors.New("there are too many connections a second from there")
)

// A limiter bounds what connections cost whose other end hasn't shown its key yet. What
// others take is not at the expense of those who come from where a peer is. It is safe for
// concurrent use.
type limiter struct {
	mu      sync.Mutex
	peers   map[netip.Prefix]bool
	ofPeers int // handshakes
	others  int
	sources map[netip.Prefix]*origin
}

// An origin is where connections come from: a machine, as a rule.
type origin struct {
	handshakes int
	last       time.Time // when one has come
	rate       *rate.Limiter
}

func newLimiter() *limiter { return &limiter{sources: map[netip.Prefix]*origin{}} }

// setPeers sets where peers are. One whose address isn't an IP address counts as elsewhere.
func (l *limiter) setPeers(peers []Peer) {
	at := map[netip.Prefix]bool{}
	for _, p := range peers {
		if addr, ok := netaddr.Parse(p.Address); ok {
			at[netaddr.Source(addr)] = true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peers = at
}

// A permit is that of one handshake.
type permit struct {
	limiter *limiter
	origin  *origin
	all     *int
	freed   sync.Once
}

// admit returns a permit for a handshake.
func (l *limiter) admit(from net.Addr, now time.Time) (*permit, error) {
	at := netaddr.SourceOf(from.String())
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &permit{limiter: l, origin: l.originLocked(at, now), all: &l.others}
	if l.peers[at] {
		p.all = &l.ofPeers
	}
	p.origin.last = now
	switch {
	case p.origin.handshakes >= maxSourceHandshakes:
		return nil, errSource
	case *p.all >= maxHandshakes:
		return nil, errAll
	case !p.origin.rate.AllowN(now, 1):
		return nil, errRate
	}
	*p.all++
	p.origin.handshakes++
	return p, nil
}

func (l *limiter) originLocked(at netip.Prefix, now time.Time) *origin {
	if o := l.sources[at]; o != nil {
		return o
	}
	netaddr.MakeRoom(l.sources, maxSources,
		func(o *origin) bool { return o.handshakes > 0 },
		func(o *origin) bool { return now.Sub(o.last) > idleSource })
	o := &origin{rate: rate.NewLimiter(sourceRate, sourceBurst)}
	l.sources[at] = o
	return o
}

// free ends the handshake. It does nothing when it is called again.
func (p *permit) free() {
	p.freed.Do(func() {
		p.limiter.mu.Lock()
		defer p.limiter.mu.Unlock()
		p.origin.handshakes--
		*p.all--
	})
}
