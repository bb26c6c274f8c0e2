package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
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

	mu  sync.Mutex
	out io.Writer
}

// close closes what is open of a stage that never ran.
func (s *stage) close() {
	s.edge.close()
	for _, h := range s.hosts {
		h.ln.Close()
	}
}

// demoTokens are the users of the demo. They are no secrets: the demo prints
// them and links to them.
var demoTokens = []string{"alice", "bob", "carol", "dave", "erin", "frank"}

// say writes a line to the user. Safe for concurrent use.
func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// narrate says where to go once the hosts are there, and from then on what
// happens to whom.
func (s *stage) narrate(ctx context.Context) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var before map[string]string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		snapshot := s.edge.pool.Snapshot()
		now := places(snapshot)
		switch {
		case before == nil && !s.complete(snapshot):
		case before == nil:
			s.welcome(now)
			before = now
		default:
			s.compare(before, now)
			before = now
		}
	}
}

// complete tells whether every host has come and been checked.
func (s *stage) complete(snapshot *pool.Snapshot) bool {
	serving := 0
	for _, h := range snapshot.Hosts {
		if h.Serving() {
			serving++
		}
	}
	return serving == len(s.hosts)
}

// places maps each of the demo's tokens to its host.
func places(snapshot *pool.Snapshot) map[string]string {
	m := make(map[string]string, len(demoTokens))
	for _, token := range demoTokens {
		m[token] = "nobody"
		if choice, ok := snapshot.Choose([]byte(token), nil); ok {
			m[token] = choice.Host.Name
		}
	}
	return m
}

func (s *stage) welcome(now map[string]string) {
	base := "https://localhost:" + strconv.Itoa(s.listen)
	s.say("A balancer and %d IDE hosts are running, on loopback only.\n", len(s.hosts))
	for _, token := range demoTokens[:2] {
		s.say("  %s/?token=%s   a terminal on %s", base, token, now[token])
	}
	s.say("  http://127.0.0.1:%d/#token=%s   the dashboard", s.admin, s.token)
	s.say("  admin token: %s\n", s.token)
	s.say("The certificate was made just now, so the browser warns. Type a number and Enter")
	s.say("to stop or start a host, k and a number to make it crash, q or Ctrl-C to quit.\n")
	s.say("%s", line(now))
}

// compare says who has moved and who hasn't.
func (s *stage) compare(before, now map[string]string) {
	var moved, stayed []string
	for _, token := range demoTokens {
		if before[token] != now[token] {
			moved = append(moved, fmt.Sprintf("%s %s → %s", token, before[token], now[token]))
		} else {
			stayed = append(stayed, token)
		}
	}
	if len(moved) > 0 {
		s.say("Moved: %s. Stayed: %s.", strings.Join(moved, ", "), strings.Join(stayed, ", "))
	}
}

func line(places map[string]string) string {
	parts := make([]string, len(demoTokens))
	for i, token := range demoTokens {
		parts[i] = token + " " + places[token]
	}
	return "Who is where: " + strings.Join(parts, ", ") + "."
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
	ln, err := net.Listen("tcp", loopback(freePort(0))) // a port that will still be free after a stop
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
