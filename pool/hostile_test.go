package pool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	forged "tokenring/gossip/inspect/forge"
	"tokenring/route"
)

// thief is the service address of a hostile host. It answers all checks.
const thief = "127.0.0.1:6666"

// A siege is a balancer with four honest hosts and a hostile one, which has the pool's
// secret and memberlist as it is. All checks pass, whatever the address.
type siege struct {
	t       *testing.T
	pool    *Pool
	secret  string // the file
	hostile *hostileMember
	weights map[string]chan int // of the honest hosts
	agents  []string            // their gossip addresses

	mu     sync.Mutex
	faults map[string]int // what has been seen that must not be
}

var honest = []string{"ide-1", "ide-2", "ide-3", "ide-4"}

func serviceOf(host string) string { return fmt.Sprintf("127.0.0.1:400%c", host[len(host)-1]) }

// besiege starts everything, and returns when the balancer sends users to all honest hosts.
func besiege(t *testing.T, cfg Config) *siege {
	t.Helper()
	s := &siege{t: t, secret: secretFile(t, 7), weights: map[string]chan int{}, faults: map[string]int{}}
	cfg.MaxWeight = route.MaxWeight // all hosts are one machine
	cfg.Config = gossip.Config{Bind: "127.0.0.1:0", SecretFile: s.secret, Label: "test"}
	s.pool, _ = startPool(t, cfg, gossip.Config{}, "lb-1")
	for _, host := range honest {
		s.startAgent(host, announcement.NewIdentity())
	}
	s.join()
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	t.Cleanup(func() { cancel(); watching.Wait() })
	eventually(t, "all honest hosts serve", func() bool { return len(s.serving()) == len(honest) })
	return s
}

// startAgent runs the agent of an honest host until the test ends, or the returned stop.
func (s *siege) startAgent(host string, identity *announcement.Identity) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := gossip.Config{Bind: "127.0.0.1:0", Join: []string{s.pool.GossipAddr()}, SecretFile: s.secret, Label: "test"}
	sockets, weights := listen(s.t, cfg), make(chan int)
	s.weights[host] = weights
	s.agents = append(s.agents, sockets.Streams.Addr().String())
	var running sync.WaitGroup
	running.Go(func() {
		err := gossip.RunAgent(ctx, gossip.AgentConfig{
			Config: cfg, Identity: identity, Weights: weights, Timing: fast,
			Spec: route.Spec{Name: host, Address: serviceOf(host), Weight: 1},
		}, sockets, zerolog.Nop())
		if err != nil {
			s.t.Errorf("agent of %s: %v", host, err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	s.t.Cleanup(stop)
	return stop
}

// A hostileMember is the delegate of a member of memberlist as it is, and sees what others
// announce.
type hostileMember struct {
	meta []byte // its own

	mu   sync.Mutex
	seen map[string]memberlist.Node // by name, what was announced first
}

func (h *hostileMember) NotifyJoin(n *memberlist.Node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.seen[n.Name]; !ok {
		h.seen[n.Name] = memberlist.Node{Meta: bytes.Clone(n.Meta), Port: n.Port}
	}
}

func (*hostileMember) NotifyUpdate(*memberlist.Node) {}
func (*hostileMember) NotifyLeave(*memberlist.Node)  {}

func (h *hostileMember) NodeMeta(int) []byte           { return h.meta }
func (*hostileMember) NotifyMsg([]byte)                {}
func (*hostileMember) GetBroadcasts(int, int) [][]byte { return nil }
func (*hostileMember) LocalState(bool) []byte          { return nil }
func (*hostileMember) MergeRemoteState([]byte, bool)   {}

// join has the hostile host join the pool.
func (s *siege) join() {
	s.t.Helper()
	meta, err := localHost("evil", thief).MarshalBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	list, hostile := s.member("host/evil", meta)
	s.hostile = hostile
	if _, err := list.Join([]string{s.pool.GossipAddr()}); err != nil {
		s.t.Fatal(err)
	}
}

// member returns a member of memberlist as it is, on loopback.
func (s *siege) member(name string, meta []byte) (*memberlist.Memberlist, *hostileMember) {
	s.t.Helper()
	c := memberlist.DefaultLANConfig()
	c.Name, c.BindAddr, c.BindPort, c.AdvertiseAddr, c.AdvertisePort = name, "127.0.0.1", 0, "127.0.0.1", 0
	c.SecretKey, c.Label, c.EnableCompression = bytes.Repeat([]byte{7}, 32), "test", false
	c.GossipInterval, c.PushPullInterval, c.ProbeInterval, c.ProbeTimeout = fast.Gossip, fast.PushPull, fast.Probe, fast.ProbeTimeout
	h := &hostileMember{meta: meta, seen: map[string]memberlist.Node{}}
	c.Delegate, c.Events, c.Logger = h, h, log.New(io.Discard, "", 0)
	list, err := memberlist.Create(c)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { list.Shutdown() })
	return list, h
}

// watch has all checks pass, and looks where the users are, until ctx ends.
func (s *siege) watch(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var served bool // by all honest hosts, once
	for ctx.Err() == nil {
		snap := s.pool.Snapshot()
		if served {
			s.look(snap)
		}
		for _, h := range snap.Hosts {
			if h.Name != "evil" { // it is after others' users
				s.pool.Checked(h.Name, CheckResult{Address: h.Address, Verdict: route.Up, At: time.Now()})
			}
		}
		served = served || len(s.serving()) == len(honest)
		<-tick.C
	}
}

// look notes what must not be.
func (s *siege) look(snap *route.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, host := range honest {
		if h := snap.Host(host); h == nil || !h.InRing {
			s.faults["out of the ring: "+host]++
		}
	}
	for i := range 60 {
		c, ok := snap.Place(snap.Key([]byte(fmt.Sprintf("token-%d", i))), route.Placement{}, nil, snap.At)
		switch {
		case !ok:
			s.faults["a token without a host"]++
		case c.Host.Address == thief || c.Host.Address != serviceOf(c.Host.Name):
			s.faults["a token of "+c.Host.Name+" at "+c.Host.Address]++
		}
	}
}

// excuse forgets a fault that a test has to expect.
func (s *siege) excuse(fault string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.faults, fault)
}

// serving returns the honest hosts that are in the ring where they are.
func (s *siege) serving() (names []string) {
	for _, host := range honest {
		if h := s.pool.Snapshot().Host(host); h != nil && h.Serving() && h.Address == serviceOf(host) && h.Share > 0 {
			names = append(names, host)
		}
	}
	return names
}

// unharmed fails the test if an honest host has been out of the ring, or a token with the
// thief, at any time.
func (s *siege) unharmed() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range slices.Sorted(maps.Keys(s.faults)) {
		s.t.Errorf("%s, %d times", fault, s.faults[fault])
	}
}

// announced returns what memberlist knows of a host's first announcement.
func (s *siege) announced(host string) (meta []byte, port int) {
	s.t.Helper()
	eventually(s.t, "the hostile host knows "+host, func() bool {
		s.hostile.mu.Lock()
		defer s.hostile.mu.Unlock()
		n := s.hostile.seen["host/"+host]
		meta, port = n.Meta, int(n.Port)
		return meta != nil
	})
	return meta, port
}

// attack sends packets to the balancer and all agents, for as long as a time, at intervals.
func (s *siege) attack(lasts, every time.Duration, packets func(round int) [][]byte) {
	s.t.Helper()
	var conns []net.Conn
	for _, to := range append([]string{s.pool.GossipAddr()}, s.agents...) {
		conn, err := net.Dial("udp", to)
		if err != nil {
			s.t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	member := forged.Member{Label: "test", Key: bytes.Repeat([]byte{7}, 32)}
	tick, end := time.NewTicker(every), time.After(lasts)
	defer tick.Stop()
	for round := 0; ; round++ {
		for _, plain := range packets(round) {
			for _, conn := range conns {
				_, _ = conn.Write(member.Packet(plain)) // one that isn't there doesn't answer
			}
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// incarnations are the greatest, the greatest that is no alarm, and ordinary ones.
func incarnations(round int) []int { return []int{1<<32 - 1, 1 << 31, 2 + 7*round} }

// forgeries returns the metadata with which somebody else may announce a host, changed as
// the announcement of a thief: not signed, signed with another key, and the host's own with
// other bytes.
func forgeries(t *testing.T, host string, genuine []byte, port int, change func(*announcement.Metadata)) [][]byte {
	t.Helper()
	m := localHost(host, serviceOf(host))
	change(&m)
	unsigned, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := announcement.NewIdentity().Sign(m, "test", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)))
	if err != nil {
		t.Fatal(err)
	}
	all := [][]byte{unsigned, signed, bytes.Replace(genuine, []byte(serviceOf(host)), []byte(thief), 1)}
	flags := bytes.Clone(genuine)
	flags[4] |= 1 // leaving
	return append(all, flags)
}

// TestNobodyTakesTheUsersOfAnother: alive messages for another host, with its own gossip
// address and the thief's service, of whatever incarnation.
func TestNobodyTakesTheUsersOfAnother(t *testing.T) {
	t.Parallel()
	s := besiege(t, Config{})
	ports, metas := map[string]int{}, map[string][][]byte{}
	for _, host := range honest {
		genuine, port := s.announced(host)
		ports[host] = port
		metas[host] = append(forgeries(t, host, genuine, port, func(m *announcement.Metadata) { m.Address = thief }), genuine)
	}
	_, own := s.announced("ide-1")
	s.attack(3*time.Second, 100*time.Millisecond, func(round int) (packets [][]byte) {
		for _, host := range honest {
			for _, meta := range metas[host] {
				for _, incarnation := range incarnations(round) {
					packets = append(packets, forged.AliveNode("host/"+host, incarnation, ports[host], meta))
				}
				packets = append(packets, forged.AliveNode("host/"+host, 3+round, own, meta)) // at another gossip
			}
		}
		return packets
	})
	s.unharmed()
	s.newsGetsThrough()
}

// newsGetsThrough checks that the balancer takes up what honest hosts announce, though
// memberlist may hold other incarnations for theirs.
func (s *siege) newsGetsThrough() {
	s.t.Helper()
	for i, host := range honest {
		select {
		case s.weights[host] <- 2 + i:
		case <-time.After(waitLimit):
			s.t.Fatalf("the agent of %s takes no weight", host)
		}
		eventually(s.t, host+" has another weight", func() bool { return s.pool.Snapshot().Host(host).Announced == 2+i })
	}
	eventually(s.t, "all honest hosts serve", func() bool { return len(s.serving()) == len(honest) })
	s.unharmed()
}

// TestNobodyAnnouncesThatAnotherLeaves: in forged announcements, in messages that it is
// dead or has left, and with those of an earlier departure.
func TestNobodyAnnouncesThatAnotherLeaves(t *testing.T) {
	t.Parallel()
	s := besiege(t, Config{})
	ports, metas := map[string]int{}, map[string][][]byte{}
	for _, host := range honest {
		genuine, port := s.announced(host)
		ports[host] = port
		metas[host] = forgeries(t, host, genuine, port, func(m *announcement.Metadata) { m.Leaving = true })
	}
	s.attack(3*time.Second, 100*time.Millisecond, func(round int) (packets [][]byte) {
		for _, host := range honest {
			node := "host/" + host
			for _, incarnation := range incarnations(round) {
				for _, meta := range metas[host] {
					packets = append(packets, forged.AliveNode(node, incarnation, ports[host], meta))
				}
				for _, kind := range []byte{forged.Dead, forged.Suspect} {
					packets = append(packets, forged.Message(kind, "Incarnation", incarnation, "Node", node, "From", node))
					packets = append(packets, forged.Message(kind, "Incarnation", incarnation, "Node", node, "From", "host/evil"))
				}
			}
		}
		return packets
	})
	s.unharmed()
	s.newsGetsThrough()
}

// TestAnEarlierAnnouncementOfAHostChangesNothing: such as its last departure.
func TestAnEarlierAnnouncementOfAHostChangesNothing(t *testing.T) {
	t.Parallel()
	s := besiege(t, Config{})
	old, port := s.announced("ide-1")
	s.newsGetsThrough()
	s.attack(time.Second, 50*time.Millisecond, func(round int) (packets [][]byte) {
		for _, incarnation := range incarnations(round) {
			packets = append(packets, forged.AliveNode("host/ide-1", incarnation, port, old))
		}
		return packets
	})
	if h := s.pool.Snapshot().Host("ide-1"); h.Announced != 2 {
		t.Errorf("the weight is %d again", h.Announced)
	}
	s.unharmed()
}

// TestAnotherMemberOfAHostsNameChangesNothing: with memberlist as it is, and the victim's
// name as its own.
func TestAnotherMemberOfAHostsNameChangesNothing(t *testing.T) {
	t.Parallel()
	s := besiege(t, Config{})
	meta, err := localHost("ide-2", thief).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := s.member("host/ide-2", meta)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		_, _ = other.Join([]string{s.pool.GossipAddr()})
		_ = other.UpdateNode(10 * time.Millisecond)
	}
	s.unharmed()
	s.newsGetsThrough()
}
