package gossip

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

// nodeOf returns what memberlist would tell of a node that announces m.
func nodeOf(t *testing.T, m announcement.Metadata) *memberlist.Node {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return &memberlist.Node{Name: m.Node(), Addr: net.IPv4(10, 0, 0, 1), Port: 7946, Meta: b, PMin: 1, PMax: 5, PCur: 2}
}

func testMembers(filter Filter) (*members, *strings.Builder) {
	var logged strings.Builder
	return newMembers("lb/lb-1", filter, signatures{}, zerolog.New(&logged)), &logged
}

func TestMembersThatDoNotBelongAreRefused(t *testing.T) {
	filter := Filter{
		Listed:   func(host string) bool { return host == "static" },
		Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	for what, row := range map[string]struct {
		meta   func(*announcement.Metadata)
		node   func(*memberlist.Node)
		reason string // "" lets it in
	}{
		"a host":                              {},
		"metadata of noise":                   {node: func(n *memberlist.Node) { n.Meta = []byte("hello") }, reason: "metadata"},
		"no metadata":                         {node: func(n *memberlist.Node) { n.Meta = nil }, reason: "metadata"},
		"another's name":                      {node: func(n *memberlist.Node) { n.Name = "host/other" }, reason: "name"},
		"another role's prefix":               {node: func(n *memberlist.Node) { n.Name = "lb/ide-1" }, reason: "name"},
		"no prefix":                           {node: func(n *memberlist.Node) { n.Name = "ide-1" }, reason: "name"},
		"a static host's name":                {meta: func(m *announcement.Metadata) { m.Name = "static" }, reason: "is listed"},
		"another network":                     {meta: func(m *announcement.Metadata) { m.Address = "192.168.0.1:1" }, reason: "allowed network"},
		"protocols that would split the pool": {node: func(n *memberlist.Node) { n.PMin, n.PCur = 5, 5 }, reason: "protocol"},
		"delegate protocols of another":       {node: func(n *memberlist.Node) { n.DMin, n.DMax = 1, 2 }, reason: "protocol"},
	} {
		r, logged := testMembers(filter)
		m := hostMeta("ide-1")
		if row.meta != nil {
			row.meta(&m)
		}
		n := nodeOf(t, m)
		if row.node != nil {
			row.node(n)
		}
		err := r.NotifyAlive(n)
		switch {
		case row.reason == "" && err != nil:
			t.Errorf("%s: refused: %v", what, err)
		case row.reason != "" && (err == nil || !strings.Contains(err.Error(), row.reason)):
			t.Errorf("%s: got %v, want a refusal about %q", what, err, row.reason)
		case row.reason != "" && !strings.Contains(logged.String(), "member refused"):
			t.Errorf("%s: logged %q, want the refusal", what, logged)
		}
	}
}

func TestHostsHaveNoBusinessAmongPeers(t *testing.T) {
	r, _ := testMembers(Filter{Only: announcement.BalancerRole})
	if err := r.NotifyAlive(nodeOf(t, hostMeta("ide-1"))); err == nil {
		t.Error("a host was let in")
	}
	if err := r.NotifyAlive(nodeOf(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}})); err != nil {
		t.Errorf("a balancer was refused: %v", err)
	}
}

func TestAbsurdlyManyHostsAreRefused(t *testing.T) {
	r, _ := testMembers(Filter{})
	for i := range MaxHosts {
		m := hostMeta(fmt.Sprintf("ide-%d", i))
		r.all[m.Node()] = Member{Metadata: m}
	}
	if r.NotifyAlive(nodeOf(t, hostMeta("new"))) == nil {
		t.Error("one more was let in")
	}
	if err := r.NotifyAlive(nodeOf(t, hostMeta("ide-7"))); err != nil {
		t.Errorf("news of a member: %v", err)
	}
}

// TestHostsThatDoNotExistGiveTheirPlaceToOthers: a member of the pool has announced as many
// as there may be. Hosts that serve keep their places, and an honest newcomer gets one.
func TestHostsThatDoNotExistGiveTheirPlaceToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := testMembers(Filter{Proven: func(host string) bool { return strings.HasPrefix(host, "ide-") }})
		come := func(name string) error {
			n := nodeOf(t, hostMeta(name))
			err := r.NotifyAlive(n)
			if err == nil {
				r.NotifyJoin(n)
			}
			return err
		}
		for i := range MaxHosts {
			name := fmt.Sprintf("fake-%d", i)
			if i < 100 {
				name = fmt.Sprintf("ide-%d", i)
			}
			if err := come(name); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if come("new") == nil {
			t.Error("a host lost its place before a check could reach it")
		}
		r.all["host/fake-777"] = Member{Metadata: r.all["host/fake-777"].Metadata, Lost: true, since: time.Now()}
		time.Sleep(trial)
		if err := come("new"); err != nil {
			t.Errorf("a newcomer: %v", err)
		}
		if _, here := r.all["host/fake-777"]; here || len(r.all) != MaxHosts {
			t.Errorf("a lost host has kept its place: %t; there are %d hosts", here, len(r.all))
		}
		if come("fake-777") == nil {
			t.Error("a host that was dropped is back at once")
		}
		for range MaxHosts {
			time.Sleep(30 * time.Millisecond)
			_ = come(fmt.Sprintf("fake-%d", time.Now().UnixNano()))
		}
		for i := range 100 {
			if _, here := r.all[fmt.Sprintf("host/ide-%d", i)]; !here {
				t.Errorf("ide-%d has lost its place", i)
			}
		}
		if len(r.all) != MaxHosts || len(r.dropped) > MaxHosts {
			t.Errorf("there are %d hosts and %d that were dropped", len(r.all), len(r.dropped))
		}
	})
}

func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	r, logged := testMembers(Filter{})
	bad := nodeOf(t, hostMeta("ide-1"))
	bad.Meta = nil
	for range 1000 {
		if r.NotifyAlive(bad) == nil {
			t.Fatal("let in")
		}
		r.NotifyConflict(bad, bad)
	}
	if lines := strings.Count(logged.String(), "\n"); lines == 0 || lines > 10 {
		t.Errorf("%d lines for 2000 refusals", lines)
	}
}

// TestMemberThatIsRefusedNowAndThenDoesNotFloodTheLog: two machines may go by one
// name, or a host may change what it announces all the time.
func TestMemberThatIsRefusedNowAndThenDoesNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, logged := testMembers(Filter{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
		good, bad := hostMeta("ide-1"), hostMeta("ide-1")
		bad.Address = "192.168.0.1:1"
		for range 300 { // a minute
			if r.NotifyAlive(nodeOf(t, good)) != nil || r.NotifyAlive(nodeOf(t, bad)) == nil {
				t.Fatal("want the one taken and the other refused")
			}
			time.Sleep(200 * time.Millisecond)
		}
		if n := strings.Count(logged.String(), "member refused"); n != 1 {
			t.Errorf("%d lines, want one", n)
		}
		time.Sleep(time.Minute)
		if r.NotifyAlive(nodeOf(t, good)) != nil || r.NotifyAlive(nodeOf(t, bad)) == nil {
			t.Fatal("want the one taken and the other refused")
		}
		if n := strings.Count(logged.String(), "member refused"); n != 2 {
			t.Errorf("a minute after all was well: %d lines, want a second one", n)
		}
	})
}

func TestMergeRefusesOnlyStrangers(t *testing.T) {
	r, logged := testMembers(Filter{})
	rogue := &memberlist.Node{Name: "consul-1"}
	if err := r.NotifyMerge([]*memberlist.Node{rogue, nodeOf(t, hostMeta("ide-1"))}); err != nil {
		t.Errorf("one stranger among us kept all others out: %v", err)
	}
	if r.NotifyMerge([]*memberlist.Node{rogue}) == nil {
		t.Error("a pool of strangers was let in")
	}
	if err := r.NotifyMerge(nil); err != nil {
		t.Errorf("a question was refused: %v", err)
	}
	if !strings.Contains(logged.String(), `"reason":"pool"`) {
		t.Errorf("logged %q", logged)
	}
}

// TestEachListOfAMemberIsCounted: an agent that calls a balancer must know whether the
// last list is the balancer's.
func TestEachListOfAMemberIsCounted(t *testing.T) {
	l, _ := testMembers(Filter{})
	other, ours := nodeOf(t, hostMeta("ide-1")), memberlist.Node{Name: "lb/lb-1", Addr: net.IPv4(10, 0, 0, 1), Port: 7946}
	in := func(state memberlist.NodeStateType) *memberlist.Node {
		n := ours
		n.State = state
		return &n
	}
	at := netip.MustParseAddrPort("10.0.0.1:7946")
	if _, n := l.lastOwnEntry(); n != 0 {
		t.Errorf("%d lists before the first", n)
	}
	for i, row := range []struct {
		list []*memberlist.Node
		want ownEntry
	}{
		{[]*memberlist.Node{other, in(memberlist.StateAlive)}, ownEntry{at, true}},
		{[]*memberlist.Node{other, in(memberlist.StateSuspect)}, ownEntry{at, true}}, // its name is taken still
		{[]*memberlist.Node{other, in(memberlist.StateDead)}, ownEntry{at, false}},
		{[]*memberlist.Node{other, in(memberlist.StateLeft)}, ownEntry{at, false}},
		{[]*memberlist.Node{other}, ownEntry{}},
	} {
		if err := l.NotifyMerge(row.list); err != nil {
			t.Fatal(err)
		}
		if got, n := l.lastOwnEntry(); got != row.want || n != i+1 {
			t.Errorf("list %d: got %+v, list %d", i+1, got, n)
		}
	}
}

func TestMembersAreCopiesAndLeaveNotes(t *testing.T) {
	r, _ := testMembers(Filter{})
	n := nodeOf(t, hostMeta("ide-1"))
	r.NotifyJoin(n)
	clear(n.Meta)
	clear(n.Addr)
	got := r.list()["host/ide-1"]
	if got.Metadata != hostMeta("ide-1") || got.Addr != netip.MustParseAddrPort("10.0.0.1:7946") || got.Lost {
		t.Errorf("got %+v", got)
	}
	select {
	case <-r.changed:
	default:
		t.Error("no note")
	}
	r.NotifyLeave(n)
	if got := r.list()["host/ide-1"]; !got.Lost || got.Metadata != hostMeta("ide-1") {
		t.Errorf("after it left: %+v", got)
	}
	r.NotifyJoin(nodeOf(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}}))
	if _, ok := r.list()["lb/lb-1"]; ok {
		t.Error("we are one of our own members")
	}
}

func TestPruneKeepsMembersThatMayReturn(t *testing.T) {
	r, _ := testMembers(Filter{})
	r.all = map[string]Member{
		"alive":    {},
		"lost":     {Lost: true, LostAt: t0},
		"left":     {Lost: true, LostAt: t0, Metadata: announcement.Metadata{Leaving: true}},
		"long ago": {Lost: true, LostAt: t0.Add(-time.Hour)},
	}
	r.prune(t0.Add(time.Minute), time.Hour)
	if got := r.list(); len(got) != 2 || got["lost"].LostAt != t0 {
		t.Errorf("got %v, want alive and lost", got)
	}
}

func TestAMemberIsFoundByItsGossipAddress(t *testing.T) {
	l := newMembers("lb/lb-1", Filter{}, signatures{}, zerolog.Nop())
	l.all = map[string]Member{
		"host/a": memberAt(announcement.HostRole, "a", "10.0.0.1:7946", false),
		"host/b": memberAt(announcement.HostRole, "b", "10.0.0.2:7946", true),
		"host/c": memberAt(announcement.HostRole, "c", "10.0.0.2:7947", false),
	}
	for at, want := range map[string]string{
		"10.0.0.1:7946": "host/a",
		"10.0.0.1:9999": "",
		"10.0.0.1:0":    "host/a",
		"10.0.0.2:7946": "host/b",
		"10.0.0.2:0":    "", // one of two
		"10.0.0.3:0":    "",
	} {
		if got, _ := l.at(netip.MustParseAddrPort(at)); got != want {
			t.Errorf("%s: got %q, want %q", at, got, want)
		}
	}
}

func TestMembersOfALaterVersionAreAdmitted(t *testing.T) {
	for _, m := range []announcement.Metadata{hostMeta("ide-1"), {Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}, Version: "9.0", Digest: "00ff"}} {
		l, _ := testMembers(Filter{})
		n := nodeOf(t, m)
		n.Meta = laterForm(t, m)
		if err := l.join(n); err != nil || l.list()[m.Node()].Metadata != m {
			t.Errorf("%s: %v; the list has %+v", m.Node(), err, l.list())
		}
	}
}
