package pool

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
)

// nodeOf returns what memberlist would tell of a node that announces m.
func nodeOf(t *testing.T, m meta) *memberlist.Node {
	t.Helper()
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	return &memberlist.Node{Name: m.node(), Addr: net.IPv4(10, 0, 0, 9), Port: 7946, Meta: b, PMin: 1, PMax: 5, PCur: 2}
}

func testRoster(door doorman) (*roster, *strings.Builder) {
	var logged strings.Builder
	return newRoster("lb/lb-1", door, zerolog.New(&logged)), &logged
}

func TestRosterRefusesWhatDoesNotBelong(t *testing.T) {
	door := doorman{
		static:   map[string]bool{"static": true},
		networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}
	for what, row := range map[string]struct {
		meta   func(*meta)
		node   func(*memberlist.Node)
		reason string // "" lets it in
	}{
		"a host":                              {},
		"metadata of noise":                   {node: func(n *memberlist.Node) { n.Meta = []byte("hello") }, reason: "metadata"},
		"no metadata":                         {node: func(n *memberlist.Node) { n.Meta = nil }, reason: "metadata"},
		"another's name":                      {node: func(n *memberlist.Node) { n.Name = "host/other" }, reason: "name"},
		"another role's prefix":               {node: func(n *memberlist.Node) { n.Name = "lb/ide-1" }, reason: "name"},
		"no prefix":                           {node: func(n *memberlist.Node) { n.Name = "ide-1" }, reason: "name"},
		"a static host's name":                {meta: func(m *meta) { m.Name = "static" }, reason: "config file"},
		"another network":                     {meta: func(m *meta) { m.Address = "192.168.0.1:1" }, reason: "allowed network"},
		"protocols that would split the pool": {node: func(n *memberlist.Node) { n.PMin, n.PCur = 5, 5 }, reason: "protocol"},
		"delegate protocols of another":       {node: func(n *memberlist.Node) { n.DMin, n.DMax = 1, 2 }, reason: "protocol"},
	} {
		r, logged := testRoster(door)
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

func TestLocalServiceAddressesNeedLeave(t *testing.T) {
	local := hostMeta("ide-1")
	local.Address = "127.0.0.1:7000"
	for what, row := range map[string]struct {
		door doorman
		want bool
	}{
		"by default":            {doorman{}, false},
		"on a loopback gossip":  {doorman{loopback: true}, true},
		"in an allowed network": {doorman{networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, true},
	} {
		r, _ := testRoster(row.door)
		if err := r.NotifyAlive(nodeOf(t, local)); (err == nil) != row.want {
			t.Errorf("%s: %v, want in %t", what, err, row.want)
		}
	}
}

func TestHostsHaveNoBusinessAmongPeers(t *testing.T) {
	r, _ := testRoster(doorman{only: roleLB})
	if err := r.NotifyAlive(nodeOf(t, hostMeta("ide-1"))); err == nil {
		t.Error("a host was let in")
	}
	if err := r.NotifyAlive(nodeOf(t, meta{Role: roleLB, Name: "lb-2"})); err != nil {
		t.Errorf("a balancer was refused: %v", err)
	}
}

func hostOf(name string, id uint32, weight int) meta {
	m := hostMeta(name)
	m.ID, m.Weight = id, weight
	return m
}

func TestAbsurdlyManyHostsAreRefused(t *testing.T) {
	r, _ := testRoster(doorman{})
	for i := range maxHosts {
		m := hostMeta(fmt.Sprintf("ide-%d", i))
		r.members[m.node()] = member{meta: m}
	}
	if r.NotifyAlive(nodeOf(t, hostMeta("new"))) == nil {
		t.Error("one more was let in")
	}
	if err := r.NotifyAlive(nodeOf(t, hostMeta("ide-7"))); err != nil {
		t.Errorf("news of a member: %v", err)
	}
}

func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	r, logged := testRoster(doorman{})
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
		r, logged := testRoster(doorman{networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
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
		time.Sleep(firstRepeat)
		if r.NotifyAlive(nodeOf(t, good)) != nil || r.NotifyAlive(nodeOf(t, bad)) == nil {
			t.Fatal("want the one taken and the other refused")
		}
		if n := strings.Count(logged.String(), "member refused"); n != 2 {
			t.Errorf("a minute after all was well: %d lines, want a second one", n)
		}
	})
}

func TestMergeRefusesOnlyStrangers(t *testing.T) {
	r, logged := testRoster(doorman{})
	rogue := &memberlist.Node{Name: "consul-1"}
	if err := r.NotifyMerge([]*memberlist.Node{rogue, nodeOf(t, hostMeta("ide-1"))}); err != nil {
		t.Errorf("one stranger among us kept all others out: %v", err)
	}
	if r.NotifyMerge([]*memberlist.Node{rogue}) == nil {
		t.Error("a pool of strangers was let in")
	}
	if !strings.Contains(logged.String(), "merge refused") {
		t.Errorf("logged %q", logged)
	}
}

func TestRosterKeepsCopiesAndLeavesNotes(t *testing.T) {
	r, _ := testRoster(doorman{})
	n := nodeOf(t, hostMeta("ide-1"))
	r.NotifyJoin(n)
	clear(n.Meta)
	clear(n.Addr)
	got := r.list()["host/ide-1"]
	if got.meta != hostMeta("ide-1") || got.at != netip.MustParseAddrPort("10.0.0.9:7946") || got.lost {
		t.Errorf("got %+v", got)
	}
	select {
	case <-r.changed:
	default:
		t.Error("no note")
	}
	r.NotifyLeave(n)
	if got := r.list()["host/ide-1"]; !got.lost || got.meta != hostMeta("ide-1") {
		t.Errorf("after it left: %+v", got)
	}
	r.NotifyJoin(nodeOf(t, meta{Role: roleLB, Name: "lb-1"}))
	if _, ok := r.list()["lb/lb-1"]; ok {
		t.Error("we are a member of our own roster")
	}
}

func TestWhomToCall(t *testing.T) {
	addr := func(n int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 1) }
	members := map[string]member{
		"alive": {at: addr(1)},
		"lost":  {at: addr(2), lost: true},
		"left":  {at: addr(3), lost: true, meta: meta{Leaving: true}},
	}
	calls := func(members map[string]member, seeds ...netip.AddrPort) map[netip.AddrPort]int {
		count := map[netip.AddrPort]int{}
		for _, at := range whomToCall(addr(9), []seed{{at: seeds}}, members) {
			count[at]++
		}
		return count
	}
	got := calls(members, addr(1), addr(4), addr(4), addr(9))
	for n, want := range map[int]int{1: 0, 2: 1, 3: 0, 4: 1, 9: 0} {
		if got[addr(n)] != want {
			t.Errorf("10.0.0.%d is called %d times, want %d", n, got[addr(n)], want)
		}
	}
	many := map[string]member{}
	for n := 100; n < 200; n++ {
		many[addr(n).String()] = member{at: addr(n), lost: true}
	}
	if got := len(calls(many)); got != maxCalls {
		t.Errorf("of 100 lost members %d are called, want %d", got, maxCalls)
	}
}

func TestPruneKeepsWhoMayReturn(t *testing.T) {
	r, _ := testRoster(doorman{})
	r.members = map[string]member{
		"alive":    {},
		"lost":     {lost: true, lostAt: t0},
		"left":     {lost: true, lostAt: t0, meta: meta{Leaving: true}},
		"long ago": {lost: true, lostAt: t0.Add(-time.Hour)},
	}
	r.prune(t0.Add(time.Minute), time.Hour)
	if got := r.list(); len(got) != 2 || got["lost"].lostAt != t0 {
		t.Errorf("got %v, want alive and lost", got)
	}
}
