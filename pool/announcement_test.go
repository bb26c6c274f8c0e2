package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

// A logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) logger() zerolog.Logger { return zerolog.New(l) }

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines returns the lines in which all of parts are.
func (l *logBuffer) lines(parts ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

// startAgent runs an agent until the test ends.
func startAgent(t *testing.T, cfg AgentConfig) *logBuffer {
	t.Helper()
	log := new(logBuffer)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- runAgent(ctx, cfg, gossipConfig{pace: fastPace, log: log.logger()}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent: %v", err)
		}
	})
	return log
}

// TestAnAgentSaysWhetherItIsTakenInAndWhyNot, once; and the balancer says who knocks.
func TestAnAgentSaysWhetherItIsTakenInAndWhyNot(t *testing.T) {
	t.Parallel()
	key, other := secretFile(t, 1), secretFile(t, 2)
	nobody := listenAndClose(t)
	for name, row := range map[string]struct {
		change   func(*AgentConfig)
		agent    []string // parts of a line of the agent's
		balancer []string // parts of a line of the balancer's; nil: none
	}{
		"a sound one":             {func(*AgentConfig) {}, []string{`"level":"info"`, "host announced", `"balancer":"lb-1"`}, nil},
		"another secret":          {func(c *AgentConfig) { c.SecretFile = other }, []string{`"level":"warn"`, "doesn't answer", "another secret"}, []string{`"level":"warn"`, "knocks", `"from":"127.0.0.1"`, "another secret"}},
		"another label":           {func(c *AgentConfig) { c.Label = "other" }, []string{`"level":"warn"`, "doesn't answer", "another label"}, []string{`"level":"warn"`, "knocks", `"from":"127.0.0.1"`, "another label"}},
		"nobody is there":         {func(c *AgentConfig) { c.Join = []string{nobody} }, []string{`"level":"warn"`, "doesn't answer", nobody, "connection refused"}, nil},
		"an address that may not": {func(c *AgentConfig) { c.Address = "10.9.9.9:4000" }, []string{`"level":"warn"`, "doesn't take the host in", `"balancer":"lb-1"`}, []string{`"level":"warn"`, "member refused", "allowed network"}},
		"another has the name":    {func(c *AgentConfig) { c.Name = "taken" }, []string{`"level":"warn"`, "another host of this name"}, []string{`"level":"warn"`, "one name"}},
		"the file has the name":   {func(c *AgentConfig) { c.Name = "static" }, []string{`"level":"warn"`, "doesn't take the host in"}, []string{"member refused", "config file"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := new(logBuffer)
			p, _ := startPoolWith(t, Config{
				Bind: "127.0.0.1:0", SecretFile: key, Label: "test", AllowedNetworks: []string{"127.0.0.0/8"},
				Hosts: []StaticHost{{Name: "static", Address: "127.0.0.1:1"}},
			}, PeersConfig{}, Options{Name: "lb-1", Hash: small, Logger: heard.logger()})
			startGossip(t, localHost("taken", "127.0.0.1:2"), gossipConfig{secretFile: key, pace: fastPace, join: []string{p.GossipAddr()}})
			eventually(t, "the first host is known", func() bool { return p.Snapshot().Host("taken") != nil })
			cfg := AgentConfig{Name: "ide-1", Address: "127.0.0.1:4000", Bind: "127.0.0.1:0", Join: []string{p.GossipAddr()}, SecretFile: key, Label: "test"}
			row.change(&cfg)
			said := startAgent(t, cfg)
			eventually(t, fmt.Sprintf("the agent says %q", row.agent), func() bool { return len(said.lines(row.agent...)) > 0 })
			if row.balancer != nil {
				eventually(t, fmt.Sprintf("the balancer says %q", row.balancer), func() bool { return len(heard.lines(row.balancer...)) > 0 })
			}
			before := len(said.lines("member called"))
			eventually(t, "it has gone on", func() bool { return len(said.lines("member called")) > before+5 })
			if n := len(said.lines(row.agent...)); n != 1 {
				t.Errorf("the agent says so %d times, want once", n)
			}
			if n := len(heard.lines(row.balancer...)); row.balancer != nil && n != 1 {
				t.Errorf("the balancer says so %d times, want once", n)
			}
			if n := len(said.lines("host announced")); n > 0 && row.agent[1] != "host announced" {
				t.Error("it says that the host is announced")
			}
		})
	}
}

// listenAndClose returns an address of loopback at which nobody listens.
func listenAndClose(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestAnAgentSaysThatItHasLostTheBalancers(t *testing.T) {
	t.Parallel()
	key := secretFile(t, 1)
	lb, crash := startGossip(t, meta{Role: roleLB, Name: "lb-1"}, gossipConfig{secretFile: key, pace: fastPace})
	address := lb.addr()
	said := startAgent(t, AgentConfig{Name: "ide-1", Address: "127.0.0.1:4000", Bind: "127.0.0.1:0", Join: []string{address}, SecretFile: key, Label: "test"})
	eventually(t, "it is announced", func() bool { return len(said.lines("host announced")) == 1 })
	crash()
	eventually(t, "it says that no balancer is left", func() bool { return len(said.lines(`"level":"warn"`, "reaches no balancer any more")) == 1 })
	eventually(t, "and who doesn't answer", func() bool { return len(said.lines(`"level":"warn"`, "doesn't answer", address)) == 1 })
	startGossip(t, meta{Role: roleLB, Name: "lb-1"}, gossipConfig{bind: address, secretFile: key, pace: fastPace})
	eventually(t, "it is announced again", func() bool { return len(said.lines("host announced")) == 2 })
	if n := len(said.lines("a member of join answers now", "failures")); n != 1 {
		t.Errorf("it says %d times that the balancer answers again, want once", n)
	}
}

// TestBalancersSayWhichPeersDontAnswer: a peers section with another secret is
// nothing that one sees otherwise.
func TestBalancersSayWhichPeersDontAnswer(t *testing.T) {
	t.Parallel()
	peer, _ := startGossip(t, meta{Role: roleLB, Name: "lb-2"}, gossipConfig{secretFile: secretFile(t, 1), pace: fastPace})
	said := new(logBuffer)
	startPoolWith(t, statics("a"), PeersConfig{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 2), Label: "test", Join: []string{peer.addr()}},
		Options{Name: "lb-1", Hash: small, Logger: said.logger()})
	eventually(t, "it says who doesn't answer", func() bool {
		return len(said.lines(`"level":"warn"`, `"gossip":"peers"`, peer.addr(), "another secret")) == 1
	})
}

func TestWhyAMemberDoesntAnswer(t *testing.T) {
	joining := func(err error) error {
		return fmt.Errorf("1 error occurred:\n\t* failed to join 10.0.0.9:7946: %v\n\n", err)
	}
	for want, err := range map[string]error{
		"its name can't be looked up: no such host":                                             fmt.Errorf("look up x: %w", &net.DNSError{Err: "no such host", Name: "x"}),
		"nothing listens there: connection refused":                                             joining(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}),
		"it has another secret":                                                                 joining(errors.New("no installed keys could decrypt the message")),
		"it hangs up without an answer: it has another label, or isn't a member":                joining(io.EOF),
		"no answer in time: it is down, or a firewall is between (TCP and UDP are both needed)": joining(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}),
		"10.0.0.9:7946: dial: network is unreachable":                                           joining(&net.OpError{Op: "dial", Err: syscall.ENETUNREACH}),
	} {
		if got := whyNoAnswer(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func TestASeedIsReachedByOneOfItsAddresses(t *testing.T) {
	at := func(n byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 1) }
	refused := errors.New("refused")
	members := map[string]member{"host/a": {at: at(1)}, "host/b": {at: at(2), lost: true}}
	for name, row := range map[string]struct {
		s    seed
		want error
	}{
		"a living member":          {seed{at: []netip.AddrPort{at(1)}}, nil},
		"ourselves":                {seed{at: []netip.AddrPort{at(9)}}, nil},
		"one of two answers":       {seed{at: []netip.AddrPort{at(3), at(4)}}, nil},
		"a lost member":            {seed{at: []netip.AddrPort{at(2)}}, refused},
		"none of two answers":      {seed{at: []netip.AddrPort{at(2), at(3)}}, refused},
		"a name without addresses": {seed{err: refused}, refused},
	} {
		results := map[netip.AddrPort]error{at(2): refused, at(3): refused, at(4): nil}
		if got := row.s.outcome(at(9), members, results); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}
