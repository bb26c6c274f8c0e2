package gossip

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

// fast is for tests over loopback: a crash is noticed after about half a
// second, and a dead node forgotten soon after. An exchange isn't cut off because the machine
// has much to do.
var fast = Timing{
	Probe:        100 * time.Millisecond,
	ProbeTimeout: 50 * time.Millisecond,
	Gossip:       10 * time.Millisecond,
	PushPull:     300 * time.Millisecond,
	Stream:       time.Minute,
	ToTheDead:    100 * time.Millisecond,
	Reclaim:      50 * time.Millisecond,
	Rejoin:       50 * time.Millisecond,
	RejoinAlone:  20 * time.Millisecond,
	Leave:        time.Second,
	Forget:       time.Hour,
	Secret:       20 * time.Millisecond,
}

// A fence is a transport through which nothing goes while cut is set.
type fence struct {
	memberlist.NodeAwareTransport
	cut *atomic.Bool
}

func (f *fence) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if f.cut.Load() {
		return time.Now(), nil
	}
	return f.NodeAwareTransport.WriteToAddress(b, a)
}

func (f *fence) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if f.cut.Load() {
		return nil, errors.New("cut off")
	}
	return f.NodeAwareTransport.DialAddressTimeout(a, timeout)
}

// A node is a member that a test runs.
type node struct {
	cfg    Config // Bind is a free port by default
	timing Timing // fast by default
	wrap   func(memberlist.NodeAwareTransport) memberlist.NodeAwareTransport
}

// start runs a member that announces m until the test, or the returned crash, ends it
// without a word.
func (n node) start(t *testing.T, m announcement.Metadata) (g *Gossip, crash func()) {
	t.Helper()
	if n.cfg.Bind == "" {
		n.cfg.Bind = "127.0.0.1:0"
	}
	if n.timing == (Timing{}) {
		n.timing = fast
	}
	n.cfg.Label = "test"
	sockets, err := Listen(n.cfg.Bind)
	if err != nil {
		t.Fatal(err)
	}
	g, err = Open(n.cfg, sockets, Options{Self: m, Filter: Filter{Anywhere: true}, Timing: n.timing, Log: zerolog.Nop(), wrap: n.wrap})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.Run(context.Background())
	}()
	crash = func() {
		g.Close()
		<-ended
	}
	t.Cleanup(crash)
	return g, crash
}

// sees reports whether a member holds node for alive.
func (g *Gossip) sees(node string) bool {
	m, ok := g.Members()[node]
	return ok && !m.Lost
}

func localHost(name, address string) announcement.Metadata {
	return announcement.Metadata{Role: announcement.HostRole, Spec: route.Spec{Name: name, Address: address, Weight: 1}}
}

// TestNothingRunsOnAfterRun: what Run has started has ended, and memberlist's own
// goroutines end soon after.
func TestNothingRunsOnAfterRun(t *testing.T) {
	key := secretFile(t, 19)
	seed, _ := node{cfg: Config{SecretFile: key}}.start(t, localHost("seed", "127.0.0.1:1"))
	serving := func() int { // the goroutines that transports have started; memberlist's send through them, too
		return withFrame(goroutines(), "gossip.(*transport).readPackets(") + withFrame(goroutines(), "gossip.(*transport).acceptStreams(")
	}
	eventually(t, "the seed reads and accepts", func() bool { return serving() == 2 })
	before := goroutines()
	for range 3 {
		n := Config{SecretFile: key, Label: "test", Join: []string{seed.Addr()}}
		g, err := Open(n, listen(t), Options{Self: announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}}, Timing: fast, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			g.Run(ctx)
		}()
		eventually(t, "they meet", func() bool { return g.sees("host/seed") && seed.sees("lb/lb-1") })
		cancel()
		<-ended
		if n := serving(); n != 2 {
			t.Errorf("%d goroutines of transports, want the seed's 2", n)
		}
		eventually(t, "the seed has received what was sent last", func() bool { return withFrame(goroutines(), "gossip.(*transport)") == 2 })
	}
	eventually(t, "memberlist has ended", func() bool {
		return withFrame(goroutines(), "memberlist.") <= withFrame(before, "memberlist.")
	})
}

// goroutines returns the stacks of all goroutines.
func goroutines() []string {
	b := make([]byte, 4<<20)
	return strings.Split(string(b[:runtime.Stack(b, true)]), "\n\n")
}

// withFrame returns how many of the stacks hold a frame.
func withFrame(stacks []string, frame string) (n int) {
	for _, stack := range stacks {
		if strings.Contains(stack, frame) {
			n++
		}
	}
	return n
}

func TestPartitionHealsHoweverLong(t *testing.T) {
	never := fast
	never.Rejoin, never.RejoinAlone, never.PushPull = time.Hour, time.Hour, 0
	forgetful := fast
	forgetful.Forget = -1
	for name, row := range map[string]struct{ first, second Timing }{
		"by the seeds":                 {never, forgetful},
		"by the members known at last": {fast, never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, cut := secretFile(t, 1), new(atomic.Bool)
			n := node{cfg: Config{SecretFile: key}, timing: row.first}
			n.wrap = func(n memberlist.NodeAwareTransport) memberlist.NodeAwareTransport { return &fence{n, cut} }
			first, _ := n.start(t, localHost("first", "127.0.0.1:1"))
			n.timing, n.cfg.Join = row.second, []string{first.Addr()}
			second, _ := n.start(t, localHost("second", "127.0.0.1:2"))
			together := func() bool { return first.sees("host/second") && second.sees("host/first") }
			eventually(t, "they meet", together)

			cut.Store(true)
			eventually(t, "both lose the other", func() bool { return !first.sees("host/second") && !second.sees("host/first") })
			since := time.Now()
			eventually(t, "memberlist has forgotten the other", func() bool { return time.Since(since) > 5*fast.ToTheDead })
			cut.Store(false)
			eventually(t, "they meet again", together)
		})
	}
}

// TestAMemberOfALaterVersionIsOneOfUs has it join, change its weight, and announce that
// it leaves.
func TestAMemberOfALaterVersionIsOneOfUs(t *testing.T) {
	t.Parallel()
	n := node{cfg: Config{SecretFile: secretFile(t, 7)}}
	us, _ := n.start(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}})
	later, host := listen(t), localHost("ide-1", "127.0.0.1:4000")
	g, err := Open(Config{SecretFile: n.cfg.SecretFile, Label: "test", Join: []string{us.Addr()}}, later, Options{Self: host, Timing: fast, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	announce := func(m announcement.Metadata) {
		b := laterForm(t, m)
		g.delegate.metadata.Store(&b)
		g.list.UpdateNode(time.Second) // an error says that the news isn't on its way yet
	}
	announce(host)
	if err := g.exchange(us.self); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is a member", func() bool { return us.sees("host/ide-1") })
	host.Weight = 7
	announce(host)
	eventually(t, "its change is known", func() bool { return us.Members()["host/ide-1"].Metadata == host })
	host.Leaving = true
	announce(host)
	eventually(t, "it is leaving", func() bool { return us.Members()["host/ide-1"].Metadata == host })
}

// TestADepartureWaitsForNoMemberThatLeavesToo: when all are stopped at once, no member
// is left that could confirm it, and none to which memberlist could send the news.
func TestADepartureWaitsForNoMemberThatLeavesToo(t *testing.T) {
	t.Parallel()
	n := node{cfg: Config{SecretFile: secretFile(t, 8)}, timing: fast}
	n.timing.Probe, n.timing.Gossip, n.timing.Leave = time.Hour, time.Hour, 15*time.Second // the first one sends nothing but exchanges of state
	host, other := localHost("ide-1", "127.0.0.1:1"), localHost("ide-2", "127.0.0.1:2")
	first, _ := n.start(t, host)
	n.cfg.Join, n.timing.Gossip, n.timing.Leave = []string{first.Addr()}, fast.Gossip, fast.Leave
	second, _ := n.start(t, other)
	eventually(t, "they meet", func() bool { return first.sees("host/ide-2") && second.sees("host/ide-1") })
	other.Leaving = true
	if err := second.Announce(other); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is known to leave", func() bool { return first.Members()["host/ide-2"].Metadata.Leaving })
	left := make(chan bool)
	go func() {
		defer close(left)
		first.leave(time.Hour)
	}()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for a member that is leaving")
	}
}
