// Package gate stands before the service of an IDE host, and passes TCP connections through
// to it as long as a majority of the balancers reaches the host (package lease). Otherwise the
// host is fenced: the gate resets all connections, so that nothing arrives later, and refuses
// new ones. So other hosts may serve the users of a host that the balancers can't reach.
package gate

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"tokenring/lease"
	"tokenring/notify"
)

// Config is what a Gate needs to know.
type Config struct {
	Host    string        // the name of the host
	To      string        // ip:port of its service
	Longest time.Duration // of a lease; 0 for what the balancers give
	Marker  string        // the name of the field that marks the refusals of a fenced host
	// Balancers are the names of the balancers by their keys.
	Balancers map[lease.Fingerprint]string
	// OnChange is called when the host is fenced, and when it no longer is; may be nil. It must
	// not block.
	OnChange func(Status)
}

// Fenced is the value of the field that marks a refusal: the host doesn't know whether others
// serve its users.
const Fenced = "fenced"

// A Status says how far a gate is open.
type Status struct {
	Fenced bool
	Giving []string // the names of the balancers whose leases aren't over, sorted
}

// A Gate passes connections through. Its methods are safe for concurrent use.
type Gate struct {
	cfg    Config
	log    zerolog.Logger
	now    func() time.Duration // since any moment; it counts also while the machine is suspended
	until  atomic.Int64         // the host is fenced from then on, by now; in ns
	leased notify.Note          // until has changed

	rarely rate.Sometimes // log lines about what isn't accepted

	mu     sync.Mutex
	leases *lease.Leases
	fenced bool           // the last change that was told
	ended  bool           // no more connections are taken
	links  map[*link]bool // all connections; true for those that the fence resets
}

// New returns a gate before a host that is fenced.
func New(cfg Config, log zerolog.Logger) *Gate {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return &Gate{
		cfg: cfg, log: log, now: sinceBoot, leased: notify.NewNote(), fenced: true, links: map[*link]bool{},
		rarely: rate.Sometimes{First: 1, Interval: time.Minute},
		leases: lease.New(cfg.Host, secret, cfg.Longest, cfg.Balancers),
	}
}

// sinceBoot returns for how long the machine has run, suspended or not.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // Linux has had this clock since 2.6.39
	}
	return time.Duration(t.Nano())
}

// SetBalancers replaces the balancers: their names by their keys.
func (g *Gate) SetBalancers(all map[lease.Fingerprint]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.updateLocked(now)
	g.leases.SetBalancers(all)
	g.cfg.Balancers = all
	g.updateLocked(now)
}

// Status returns how far the gate is open.
func (g *Gate) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Status{Fenced: !g.isOpen(), Giving: g.leases.Giving(g.now())}
}

// Serve passes the connections that ln accepts through, until ctx ends. Then it resets all
// connections. It returns when everything that it started has ended; an error is that ln can't
// accept. It closes ln.
func (g *Gate) Serve(ctx context.Context, ln net.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, func() {
		ln.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ended = true
		for l := range g.links {
			l.reset()
		}
	})()
	running.Go(func() { g.watch(ctx) })
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // out of files: those of others are closed in time
			g.rarely.Do(func() { g.log.Error().Err(err).Msg("the gate can't accept connections") })
			pause(ctx, 50*time.Millisecond)
			continue
		}
		running.Go(func() { g.serve(ctx, conn.(*net.TCPConn)) })
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// isOpen reports whether the host may serve now.
func (g *Gate) isOpen() bool { return int64(g.now()) < g.until.Load() }

// longestSleep is how often the fence is looked at. A timer doesn't count while the machine is
// suspended, and the clock of leases does.
const longestSleep = time.Second

// watch fences the host when its leases are over, until ctx ends.
func (g *Gate) watch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.leased:
		case <-timer.C:
			g.mu.Lock()
			g.updateLocked(g.now())
			g.mu.Unlock()
		}
		left := time.Duration(g.until.Load()) - g.now()
		if left <= 0 {
			left = longestSleep
		}
		timer.Reset(min(left, longestSleep))
	}
}

// take takes a check in. It returns the value of the field for the answer, and why the check
// isn't accepted. A lease doesn't help connections from before a time without any: they are
// reset first.
func (g *Gate) take(proof string) (answer string, refused error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.updateLocked(now)
	balancer, refused := g.leases.Take(proof, now)
	if refused == nil {
		g.updateLocked(now)
		g.log.Debug().Str("balancer", balancer).Msg("a check of a balancer")
		g.leased.Leave()
	}
	return lease.Answer(g.leases.Challenge(now), refused), refused
}

// updateLocked has everything follow from the leases at a moment. It must be called before they
// change, too, or a time without a majority goes unseen.
func (g *Gate) updateLocked(now time.Duration) {
	until := g.leases.Until()
	g.until.Store(int64(until))
	if !g.fenced && now >= until {
		g.fenceLocked(now)
	}
	if g.fenced && now < until {
		g.fenced = false
		giving := g.leases.Giving(now)
		g.log.Info().Strs("balancers", giving).Msg("a majority of the balancers reaches this host: it serves")
		g.tell(Status{Giving: giving})
	}
}

// fenceLocked resets what is connected with the service.
func (g *Gate) fenceLocked(now time.Duration) {
	g.fenced = true
	n := 0
	for l, users := range g.links {
		if users {
			l.reset()
			n++
		}
	}
	giving := g.leases.Giving(now)
	g.log.Warn().Int("connections", n).Strs("balancers", giving).Int("known", len(g.cfg.Balancers)).
		Msg("no majority of the balancers reaches this host: its connections are closed, and it refuses new ones, because other hosts may serve its users")
	g.tell(Status{Fenced: true, Giving: giving})
}

func (g *Gate) tell(s Status) {
	if g.cfg.OnChange != nil {
		g.cfg.OnChange(s)
	}
}

// String says for the service manager how far the gate is open.
func (s Status) String() string {
	names := "none"
	if len(s.Giving) > 0 {
		names = strings.Join(s.Giving, ", ")
	}
	if s.Fenced {
		return "fenced: no majority of the balancers reaches this host (" + names + ")"
	}
	return "open: balancers reach this host (" + names + ")"
}
