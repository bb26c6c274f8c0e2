package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"tokenring/demo"
	"tokenring/pool"
)

// A stage is everything that a running demo consists of.
type stage struct {
	edge          *edge
	hosts         []*demoHost
	listen, admin int
	token         string

	mu     sync.Mutex
	out    io.Writer
	broken error // of out
}

// close closes what is open of a stage that never ran.
func (s *stage) close() {
	s.edge.close()
	for _, h := range s.hosts {
		h.ln.Close()
	}
}

// say writes a line to the user. Safe for concurrent use. What goes wrong is for
// narrate to notice.
func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintf(s.out, format+"\n", args...); err != nil {
		s.broken = err
	}
}

// heard reports whether somebody can still read what is said: nil, or why not.
func (s *stage) heard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return fmt.Errorf("standard output: %w", s.broken)
	}
	return nil
}

// narrate says where to go once the hosts are there, and from then on what
// happens to whom. It returns nil when ctx ends, and an error when nobody can read
// it any more.
func (s *stage) narrate(ctx context.Context) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	before, welcomed := demoState{}, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		snapshot := s.edge.pool.Snapshot()
		now := demoStateOf(snapshot, s.terminals)
		switch {
		case welcomed:
			for _, line := range now.since(before) {
				s.say("%s", line)
			}
		case s.complete(snapshot):
			s.welcome(now)
			welcomed = true
		}
		before = now
		if err := s.heard(); err != nil {
			return err
		}
	}
}

// terminals returns the host of a token's live terminals, "" if it has none.
func (s *stage) terminals(token string) string {
	host, _ := s.edge.proxy.Session([]byte(token))
	return host
}

// complete reports whether every host has come, has been checked, and is in the
// table in force.
func (s *stage) complete(snapshot *pool.Snapshot) bool {
	serving := 0
	for _, placed := range snapshot.Table.Hosts() {
		if h := snapshot.Host(placed.Name); h != nil && h.Serving() {
			serving++
		}
	}
	return serving == len(s.hosts)
}

func (s *stage) welcome(now demoState) {
	base := "https://localhost:" + strconv.Itoa(s.listen)
	s.say("A balancer and %d IDE hosts are running, on loopback only.\n", len(s.hosts))
	for _, u := range now.users[:2] {
		s.say("  %s/?token=%s   a terminal on %s", base, u.token, u.next())
	}
	s.say("  http://127.0.0.1:%d/#token=%s   the dashboard", s.admin, s.token)
	s.say("  admin token: %s\n", s.token)
	s.say("The certificate was made just now, so the browser warns. Type a number and Enter")
	s.say("to stop or start a host, k and a number to make it crash, q or Ctrl-C to quit.\n")
	s.say("%s", now.placement())
}

// A demoHost is one IDE host of the demo, which can be stopped and started. Its
// address stays the same.
//
//	running ──toggle──▶ stopped     (the agent says that it leaves)
//	running ──crash───▶ crashed     (the service is gone, the agent isn't)
//	stopped, crashed ──toggle──▶ running
type demoHost struct {
	agent  pool.AgentConfig
	host   demo.HostConfig
	log    zerolog.Logger
	ln     net.Listener // of the first run; then the address is listened on again
	orders chan order
}

type order int

const (
	orderToggle order = iota
	orderCrash
)

func newDemoHost(name string, id uint32, shell bool, seed, secretFile string, log zerolog.Logger) (*demoHost, error) {
	ln, err := listenBelow() // so that the port is still free after a stop
	if err != nil {
		return nil, err
	}
	log = log.With().Str("demo_host", name).Logger()
	h := &demoHost{log: log, ln: ln, orders: make(chan order, 1)}
	h.agent = pool.AgentConfig{
		Name: name, ID: id, Address: ln.Addr().String(), Weight: new(1), Zone: "demo", Version: version(),
		Bind: "127.0.0.1:0", Join: []string{seed}, SecretFile: secretFile,
	}
	h.host = demo.HostConfig{Name: name, Shell: shell, Logger: log, Stop: func() { h.order(orderToggle) }}
	return h, nil
}

// order leaves the host an order. One that comes before the last was taken is
// dropped: a second key press by mistake.
func (h *demoHost) order(o order) {
	select {
	case h.orders <- o:
	default:
	}
}

// supervise runs the host until ctx ends.
func (h *demoHost) supervise(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := h.run(ctx); err != nil {
			return fmt.Errorf("demo host %s: %w", h.agent.Name, err)
		}
		select {
		case <-ctx.Done():
		case <-h.orders: // whatever it is, it starts the host again
		}
	}
	return nil
}

// run runs the host and its agent until an order ends both or ctx ends.
func (h *demoHost) run(ctx context.Context) error {
	ln := h.ln
	if h.ln = nil; ln == nil {
		var err error
		if ln, err = net.Listen("tcp", h.agent.Address); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	agentCtx, leave := context.WithCancel(ctx)
	serviceCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer leave()
	group.Go(func() error {
		defer stop() // a host says goodbye before it goes
		return pool.RunAgent(agentCtx, h.agent, h.log)
	})
	group.Go(func() error { return demo.NewHost(h.host).Serve(serviceCtx, ln) })
	group.Go(func() error {
		defer leave()
		for crashed := false; ; {
			select {
			case <-agentCtx.Done():
				return nil
			case o := <-h.orders:
				if o == orderToggle {
					if crashed {
						h.order(orderToggle) // for supervise: start it again
					}
					return nil
				}
				crashed = true
				stop() // and the agent goes on, as if only the service had died
			}
		}
	})
	return group.Wait()
}
