package balancer

import (
	"slices"
	"testing"
)

// TestPickTriesOwnerThenSuccessorThenTheOthers uses a table of one slot, which a owns
// and b inherits. The scores prefer d to c.
func TestPickTriesOwnerThenSuccessorThenTheOthers(t *testing.T) {
	const a, b, c, d, none = 0, 1, 2, 3, -1
	router := &slots{
		count: 1, owner: []uint16{a}, successor: []uint16{b},
		scorers: []scorer{{1, 1}, {2, 1}, {3, 1}, {3, 2}}, // c and d have the same seed, d has more weight
	}
	table := &Table{
		hosts:  []Host{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
		layout: layout{owners: router.owner, successors: router.successor, router: router},
	}
	for _, row := range []struct {
		up    string
		avoid int
		want  int
		rule  Rule
	}{
		{"++++", none, a, RuleOwner},
		{"+---", none, a, RuleOwner},
		{"-+++", none, b, RuleFallback},
		{"--++", none, d, RuleFallback},
		{"--+-", none, c, RuleFallback},
		{"----", none, none, RuleNone},
		{"++++", a, b, RuleFallback}, // a retry goes where the key will be once a is down
		{"+-++", a, d, RuleFallback},
		{"-+++", b, d, RuleFallback},
		{"+---", a, none, RuleNone}, // never back to the one that failed
		{"---+", d, none, RuleNone},
		{"++++", c, a, RuleOwner},  // avoiding another host changes nothing
		{"", none, none, RuleNone}, // hosts beyond the end of up can't serve
		{"-+", none, b, RuleFallback},
	} {
		up := make([]bool, len(row.up))
		for i := range up {
			up[i] = row.up[i] == '+'
		}
		if got, rule := table.Pick([]byte("alice"), up, row.avoid); got != row.want || rule != row.rule {
			t.Errorf("up %q, avoid %d: got %d (%s), want %d (%s)", row.up, row.avoid, got, rule, row.want, row.rule)
		}
	}
}

func TestTableWithoutHostsPicksNoHost(t *testing.T) {
	key := []byte("alice")
	for name, table := range map[string]*Table{
		"built":      build(t, Config{}),
		"weightless": build(t, Config{}, Host{Name: "a"}),
		"zero value": {},
	} {
		if host, rule := table.Pick(key, all(3), -1); host != -1 || rule != RuleNone {
			t.Errorf("%s: Pick = %d (%s), want -1 (none)", name, host, rule)
		}
		if table.Owner(key) != -1 || table.Slot(key) != -1 || table.Slots() != 0 {
			t.Errorf("%s: owner %d, slot %d of %d, want -1, -1 of 0", name, table.Owner(key), table.Slot(key), table.Slots())
		}
		if len(table.Hosts())+len(table.Shares())+len(table.Candidates(key)) != 0 {
			t.Errorf("%s: got hosts, want none", name)
		}
	}
}

func TestSingleHostOwnsEverythingAndHasNoSuccessor(t *testing.T) {
	table := build(t, Config{}, Host{Name: "only", Weight: 3})
	if got := table.Shares(); len(got) != 1 || got[0] != 1 {
		t.Errorf("got shares %v, want [1]", got)
	}
	if host, rule := table.Pick([]byte("alice"), []bool{true}, 0); host != -1 {
		t.Errorf("avoiding the only host: got %d (%s), want -1", host, rule)
	}
	if got := table.Candidates([]byte("alice")); !slices.Equal(got, []int{0}) {
		t.Errorf("got candidates %v, want [0]", got)
	}
}

func TestPickFollowsTheCandidates(t *testing.T) {
	table := build(t, small, mixed(12)...)
	for _, key := range keys(200) {
		up := all(12)
		for i, want := range table.Candidates(key) {
			got, rule := table.Pick(key, up, -1)
			if got != want || (rule == RuleOwner) != (i == 0) {
				t.Fatalf("%s, %d hosts down: got %d (%s), want %d", key, i, got, rule, want)
			}
			up[got] = false
		}
		if got, _ := table.Pick(key, up, -1); got != -1 {
			t.Fatalf("%s, all hosts down: got %d, want -1", key, got)
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	table, key := build(t, small, fleet(20)...), keys(1)[0]
	owner, up := table.Owner(key), all(20)
	successor := table.Candidates(key)[1]
	for name, down := range map[string][]int{"owner": nil, "successor": {owner}, "rendezvous": {owner, successor}} {
		up := slices.Clone(up)
		for _, host := range down {
			up[host] = false
		}
		if n := testing.AllocsPerRun(100, func() { table.Pick(key, up, -1) }); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
}

func TestDigestTellsTablesApart(t *testing.T) {
	base := build(t, small, fleet(5)...)
	same := build(t, small, Host{Name: "ide-0003", Weight: 1}, fleet(5)[4], fleet(5)[0], fleet(5)[3], fleet(5)[1])
	if same.Digest() != base.Digest() {
		t.Errorf("another order and other ids: got %s, want %s", same.Digest(), base.Digest())
	}
	heavier := fleet(5)
	heavier[2].Weight = 2
	renamed := fleet(5)
	renamed[2].Name = "ide-3"
	load := small
	load.Consistent.Load = 1.3
	byCookie, byEither := small, small
	byCookie.Key = []KeyRule{{Source: KeyCookie, Name: "token"}}
	byEither.Key = []KeyRule{{Source: KeyQuery, Name: "token"}, {Source: KeyCookie, Name: "token"}}
	seen := map[string]string{base.Digest(): "base"}
	for name, table := range map[string]*Table{
		"fewer":        build(t, small, fleet(4)...),
		"heavier":      build(t, small, heavier...),
		"renamed":      build(t, small, renamed...),
		"another load": build(t, load, fleet(5)...),
		"a cookie":     build(t, byCookie, fleet(5)...),
		"either":       build(t, byEither, fleet(5)...),
		"empty":        build(t, small),
		"empty, load":  build(t, load),
	} {
		if other, found := seen[table.Digest()]; found {
			t.Errorf("%s and %s have the digest %s both", name, other, table.Digest())
		}
		seen[table.Digest()] = name
	}
}
