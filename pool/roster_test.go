package pool

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/balancer"
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
		static:   map[string]balancer.Host{"static": {Name: "static", Weight: 1}},
		networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		fits:     balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 101}}.Check,
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
		"too heavy for a table":               {meta: func(m *meta) { m.Weight = 101 }, reason: "ring has no room"},
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

// roomFor returns a roster of that policy beside a host static with the id 9.
func roomFor(cfg balancer.Config) *roster {
	r, _ := testRoster(doorman{static: map[string]balancer.Host{"static": {Name: "static", ID: 9, Weight: 1}}, fits: cfg.Check})
	return r
}

func hostOf(name string, id uint32, weight int) meta {
	m := hostMeta(name)
	m.ID, m.Weight = id, weight
	return m
}

func TestAnnouncedWeightsStayWithinWhatThePolicyCanHold(t *testing.T) {
	r := roomFor(balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 301}})
	first, second := hostOf("first", 1, 200), hostOf("second", 2, 101)
	r.NotifyJoin(nodeOf(t, first))
	if r.NotifyAlive(nodeOf(t, second)) == nil {
		t.Error("302 of 301 were let in")
	}
	second.Weight = 100
	if err := r.NotifyAlive(nodeOf(t, second)); err != nil {
		t.Errorf("301 of 301: %v", err)
	}
	first.Weight = 256
	if err := r.NotifyAlive(nodeOf(t, first)); err != nil {
		t.Errorf("a member's new weight counts beside its old one: %v", err)
	}
	if err := roomFor(balancer.Config{Policy: balancer.PolicyRendezvous}).NotifyAlive(nodeOf(t, first)); err != nil {
		t.Errorf("a policy without that limit: %v", err)
	}
}

func TestOperatorsWeightsCountForTheRoomThatIsLeft(t *testing.T) {
	r := roomFor(balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 301}})
	r.NotifyJoin(nodeOf(t, hostOf("first", 1, 10)))
	second := nodeOf(t, hostOf("second", 2, 100))
	r.weigh(map[string]int{"first": 201})
	if r.NotifyAlive(second) == nil {
		t.Error("302 of 301 were let in")
	}
	r.weigh(map[string]int{"first": 201, "static": 0})
	if err := r.NotifyAlive(second); err != nil {
		t.Errorf("301 of 301: %v", err)
	}
	r.weigh(map[string]int{"first": 201, "second": 100})
	if r.NotifyAlive(nodeOf(t, hostOf("second", 2, 1))) == nil {
		t.Error("what a host announces counted although operators have given it another weight")
	}
}

func TestHostsThatThePolicyCannotTellApartAreRefused(t *testing.T) {
	haproxy, any := balancer.Config{Policy: balancer.PolicyHAProxy}, balancer.Config{}
	for what, row := range map[string]struct {
		cfg    balancer.Config
		m      meta
		reason string // "" lets it in
	}{
		"an id of its own":        {haproxy, hostOf("new", 2, 1), ""},
		"no id":                   {haproxy, hostOf("new", 0, 1), "has the id 0"},
		"a member's id":           {haproxy, hostOf("new", 7, 1), "can't tell apart"},
		"the same modulo 2^20":    {haproxy, hostOf("new", 7+1<<20, 1), "can't tell apart"},
		"a static host's id":      {haproxy, hostOf("new", 9, 1), "can't tell apart"},
		"its own id again":        {haproxy, hostOf("first", 7, 3), ""},
		"another id for itself":   {haproxy, hostOf("first", 8, 1), ""},
		"another policy, no id":   {any, hostOf("new", 0, 1), ""},
		"another policy, one id":  {any, hostOf("new", 7, 1), ""},
		"a lost member's id":      {haproxy, hostOf("new", 5, 1), "can't tell apart"},
		"the id of one that left": {haproxy, hostOf("new", 6, 1), ""},
	} {
		r := roomFor(row.cfg)
		left := hostOf("left", 6, 1)
		left.Leaving = true
		for _, m := range []meta{hostOf("first", 7, 1), hostOf("lost", 5, 1), left} {
			r.NotifyJoin(nodeOf(t, m))
		}
		r.NotifyLeave(nodeOf(t, hostOf("lost", 5, 1)))
		r.NotifyLeave(nodeOf(t, left))
		err := r.NotifyAlive(nodeOf(t, row.m))
		if (err == nil) != (row.reason == "") || err != nil && !strings.Contains(err.Error(), row.reason) {
			t.Errorf("%s: got %v, want a refusal about %q", what, err, row.reason)
		}
	}
}

func TestAHostThatLeftFindsItsIDTaken(t *testing.T) {
	r := roomFor(balancer.Config{Policy: balancer.PolicyHAProxy})
	old := hostOf("old", 7, 1)
	leaving := old
	leaving.Leaving = true
	r.NotifyJoin(nodeOf(t, leaving))
	r.NotifyLeave(nodeOf(t, leaving))
	r.NotifyJoin(nodeOf(t, hostOf("new", 7, 1)))
	if r.NotifyAlive(nodeOf(t, old)) == nil {
		t.Error("two hosts have one id")
	}
}

func TestAHostThatIsInMayAlwaysSayThatItLeaves(t *testing.T) {
	r := roomFor(balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 301}})
	m := hostOf("first", 1, 200)
	r.NotifyJoin(nodeOf(t, m))
	r.weigh(map[string]int{"static": 256}) // a peer's decision leaves no room
	m.Zone = "b"
	if err := r.NotifyAlive(nodeOf(t, m)); err != nil {
		t.Errorf("news without a weight: %v", err)
	}
	m.Leaving, m.Weight = true, 201
	if err := r.NotifyAlive(nodeOf(t, m)); err != nil {
		t.Errorf("leaving: %v", err)
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
		for _, at := range whomToCall(addr(9), seeds, members) {
			count[at]++
		}
		return count
	}
	got := calls(members, addr(1), addr(4), addr(4), addr(9))
	for n, want := range map[int]int{1: 1, 2: 1, 3: 0, 4: 1, 9: 0} {
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
