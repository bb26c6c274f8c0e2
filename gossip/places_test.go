package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/gossip/inspect/forge"
	"tokenring/route"
)

// startSigning runs the member of a host that signs, at an address of loopback.
func startSigning(t *testing.T, ip, name string, secret byte, join ...string) (*Gossip, route.HostKey) {
	t.Helper()
	identity := announcement.NewIdentity()
	sockets, err := Listen(ip + ":0")
	if err != nil {
		t.Fatal(err)
	}
	return run(t, Config{SecretFile: secretFile(t, secret), Label: "test", Join: join}, sockets, Options{
		Self: localHost(name, ip+":4000"), Identity: identity, Filter: Filter{Anywhere: true}, Timing: fast, Log: zerolog.Nop(),
	}), identity.Key()
}

// run runs a gossip until the test ends.
func run(t *testing.T, cfg Config, sockets Sockets, o Options) *Gossip {
	t.Helper()
	g, err := Open(cfg, sockets, o)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { g.Run(context.Background()) })
	t.Cleanup(func() { g.Close(); running.Wait() })
	return g
}

func TestANodeIsWhereItAnswersToItsName(t *testing.T) {
	host, key := startSigning(t, "127.0.0.1", "ide-1", 1)
	unsigned, _ := node{cfg: Config{SecretFile: secretFile(t, 1)}}.start(t, localHost("ide-2", "127.0.0.1:4000"))
	other, _ := startSigning(t, "127.0.0.1", "ide-1", 2)
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := netip.MustParseAddrPort(deaf.Addr().String())
	deaf.Close()
	asker := newCarrier(t).transport
	for what, row := range map[string]struct {
		place
		want bool
	}{
		"it is":                        {place{node: "host/ide-1", at: host.self}, true},
		"it is, with its key":          {place{"host/ide-1", host.self, key}, true},
		"it is, with another key":      {place{"host/ide-1", host.self, route.HostKey{1}}, false},
		"it is, and doesn't sign":      {place{node: "host/ide-2", at: unsigned.self}, true},
		"it doesn't sign, with a key":  {place{"host/ide-2", unsigned.self, key}, false},
		"another node is":              {place{node: "host/ide-2", at: host.self}, false},
		"another node is, with a key":  {place{"host/ide-2", host.self, key}, false},
		"a node of another gossip is":  {place{node: "host/ide-1", at: other.self}, false},
		"nobody is":                    {place{node: "host/ide-1", at: silent}, false},
		"the name is longer than most": {place{node: "host/" + string(make([]byte, 300)), at: host.self}, false},
	} {
		if err := asker.reach(t.Context(), row.place); (err == nil) != row.want {
			t.Errorf("%s: got %v, want it there: %t", what, err, row.want)
		}
	}
}

// TestAHostComesInWhereItAnswers: a member may say that its gossip has any address, and its
// service must have the same. It comes in only where it is.
func TestAHostComesInWhereItAnswers(t *testing.T) {
	sockets, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	balancer := run(t, Config{SecretFile: secretFile(t, 1), Label: "test"}, sockets, Options{
		Self: announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}}, Keys: announcement.NewKeys(false), Timing: fast, Log: zerolog.Nop(),
	})
	host, key := startSigning(t, "127.0.0.2", "ide-1", 1, balancer.Addr())
	eventually(t, "the host comes in", func() bool { return balancer.sees("host/ide-1") })
	if got := balancer.Members()["host/ide-1"].Metadata.Key; got != key {
		t.Errorf("it has the key %s", got)
	}

	conn, err := net.Dial("udp", balancer.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for name, at := range map[string]netip.AddrPort{
		"at-another-host": host.self,
		"at-no-host":      netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 3}), host.self.Port()),
	} {
		m := localHost(name, netip.AddrPortFrom(at.Addr(), 22).String())
		b, err := signer{identity: announcement.NewIdentity(), label: "test", at: at}.encode(m)
		if err != nil {
			t.Fatal(err)
		}
		before := balancer.RefusedTotals()[Unreached]
		alive := forge.Message(forge.Alive, "Incarnation", 1, "Node", m.Node(), "Addr", at.Addr().AsSlice(), "Port", int(at.Port()), "Meta", b, "Vsn", forge.Versions)
		if _, err := conn.Write(tester.Packet(alive)); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is refused", func() bool { return balancer.RefusedTotals()[Unreached] > before })
		if balancer.sees(m.Node()) {
			t.Errorf("%s is a member", name)
		}
	}
	if !balancer.sees("host/ide-1") {
		t.Error("the host is out")
	}
}

// A crowd is places that are asked slowly: those on 10.6.0.0/16 don't answer.
type crowd struct {
	*places

	mu    sync.Mutex
	asked map[place]int
}

const noAnswer = 3 * time.Second

func newCrowd(t *testing.T) *crowd {
	c := &crowd{asked: map[place]int{}}
	c.places = newPlaces(func(_ context.Context, p place) error {
		c.mu.Lock()
		c.asked[p]++
		c.mu.Unlock()
		if p.at.Addr().As4()[1] == 6 {
			time.Sleep(noAnswer)
			return errors.New("no answer")
		}
		return nil
	}, func(place, error) {})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return c
}

// counts returns how many places were asked, and how many are kept that aren't callers'.
func (c *crowd) counts() (asked, kept int) {
	c.mu.Lock()
	asked = len(c.asked)
	c.mu.Unlock()
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	return asked, len(c.lanes[1].all)
}

// times returns how often a place was asked.
func (c *crowd) times(p place) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[p]
}

func placeAt(a, b, c byte, port uint16) place {
	return place{node: fmt.Sprintf("host/%d-%d-%d-%d", a, b, c, port), at: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, a, b, c}), port)}
}

// TestWhoHasCalledNeedNotWait for places where nobody answers.
func TestWhoHasCalledNeedNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		for i := range 2 * maxPlaces {
			c.has(placeAt(6, byte(i/250), byte(i%250), 7946), time.Now())
		}
		honest := placeAt(0, 0, 1, 7946)
		c.called(honest.at.Addr(), time.Now())
		c.has(honest, time.Now())
		synctest.Wait()
		if !c.has(honest, time.Now()) {
			t.Error("a host that has called waits")
		}
		if stranger := placeAt(0, 0, 2, 7946); c.has(stranger, time.Now()) {
			t.Error("a place is known at which nobody was asked")
		}
		synctest.Wait()
		if asked, kept := c.counts(); asked != maxAsked+1 || kept != maxPlaces {
			t.Errorf("%d places are asked at a time, and %d are kept", asked, kept)
		}
		time.Sleep(maxPlaces / maxAsked * noAnswer)
		synctest.Wait()
		if asked, _ := c.counts(); asked != maxPlaces+1 {
			t.Errorf("%d places were asked; want all that were kept", asked)
		}
	})
}

func TestAPlaceIsAskedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		here, missing := placeAt(0, 0, 1, 7946), placeAt(6, 0, 1, 7946)
		for range 10 {
			c.has(here, time.Now())
			c.has(missing, time.Now())
			time.Sleep(noAnswer / 5)
		}
		synctest.Wait()
		if c.times(here) != 1 || c.times(missing) != 1 || !c.has(here, time.Now()) || c.has(missing, time.Now()) {
			t.Errorf("asked %d and %d times", c.times(here), c.times(missing))
		}
		time.Sleep(max(placeFound, placeMissed))
		for _, p := range []place{here, missing} {
			if c.has(p, time.Now()) {
				t.Errorf("%s is known for ever", p.node)
			}
		}
		synctest.Wait()
		if c.times(here) != 2 || c.times(missing) != 2 {
			t.Errorf("asked %d and %d times, want each twice", c.times(here), c.times(missing))
		}
	})
}

// TestAMachineHasFewPlacesThatWait: else it would keep others waiting.
func TestAMachineHasFewPlacesThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		for port := range uint16(200) {
			c.has(placeAt(6, 0, 1, 1000+port), time.Now())
		}
		synctest.Wait()
		if _, kept := c.counts(); kept != maxSourceAsks {
			t.Errorf("%d wait", kept)
		}
		for i := range maxCallers + 10 {
			c.called(placeAt(0, byte(i/250), byte(i%250), 1).at.Addr(), time.Now())
		}
		c.places.mu.Lock()
		defer c.places.mu.Unlock()
		if n := len(c.callers); n != maxCallers {
			t.Errorf("%d callers are known", n)
		}
	})
}
