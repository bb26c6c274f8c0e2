package admin

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/session"
)

// tableFor returns a table of hosts with weight 1.
func tableFor(t *testing.T, policy string, names ...string) *balancer.Table {
	t.Helper()
	b, err := balancer.NewBuilder(balancer.Config{Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	var hosts []balancer.Host
	for i, name := range names {
		hosts = append(hosts, balancer.Host{Name: name, ID: uint32(i + 1), Weight: 1})
	}
	table, err := b.Build(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// An owner is the host that a table gives a key to.
type owner struct {
	table *balancer.Table
	host  string
}

// on returns a live session of a key that has all these owners, and whose terminals
// are on host.
func on(t *testing.T, host string, terminals int, owners ...owner) session.Session {
	t.Helper()
	for i := uint64(1); i < 100_000; i++ {
		hash := i * 0x9e3779b97f4a7c15
		if !slices.ContainsFunc(owners, func(o owner) bool { return ownerOf(o.table, hash) != o.host }) {
			return session.Session{Host: host, Hash: hash, Keyed: true, Tunnels: terminals}
		}
	}
	t.Fatal("no such key")
	return session.Session{}
}

func away(s session.Session) session.Session {
	s.Away = true
	return s
}

func TestImpactFollowsEachTerminal(t *testing.T) {
	before := tableFor(t, balancer.PolicyRendezvous, "a", "b", "c")
	after := tableFor(t, balancer.PolicyRendezvous, "a", "b")
	keyless := session.Session{Host: "c", Tunnels: 7}
	for _, row := range []struct {
		name string
		live []session.Session
		to   *balancer.Table
		want impact
	}{
		{"nobody is connected", nil, after, impact{exact: true}},
		{
			"it stays",
			[]session.Session{on(t, "a", 3, owner{before, "a"})},
			after,
			impact{exact: true, open: 3, before: map[string]float64{"a": 3}, after: map[string]float64{"a": 3}},
		},
		{
			"its host leaves",
			[]session.Session{on(t, "c", 2, owner{before, "c"}, owner{after, "b"})},
			after,
			impact{exact: true, open: 2, moved: 2, moves: map[move]float64{{"c", "b"}: 2}, before: map[string]float64{"c": 2}, after: map[string]float64{"b": 2}},
		},
		{
			"it isn't on its owner, which stays, even now",
			[]session.Session{on(t, "a", 1, owner{before, "b"})},
			after,
			impact{exact: true, open: 1, astray: 1, before: map[string]float64{"a": 1}, after: map[string]float64{"b": 1}},
		},
		{
			"it isn't on its owner, which leaves, even now",
			[]session.Session{on(t, "drained", 1, owner{before, "c"}, owner{after, "b"})},
			after,
			impact{exact: true, open: 1, astray: 1, moved: 1, moves: map[move]float64{{"c", "b"}: 1}, before: map[string]float64{"drained": 1}, after: map[string]float64{"b": 1}},
		},
		{
			"it stays away from its owner, for want of room there",
			[]session.Session{away(on(t, "a", 1, owner{before, "b"}))},
			after,
			impact{exact: true, open: 1, before: map[string]float64{"a": 1}, after: map[string]float64{"a": 1}},
		},
		{
			"the host where it was away leaves",
			[]session.Session{away(on(t, "c", 1, owner{before, "b"}))},
			after,
			impact{exact: true, open: 1, moved: 1, moves: map[move]float64{{"c", "b"}: 1}, before: map[string]float64{"c": 1}, after: map[string]float64{"b": 1}},
		},
		{
			"no key",
			[]session.Session{keyless},
			after,
			impact{exact: true, open: 7, before: map[string]float64{"c": 7}, after: map[string]float64{"c": 7}},
		},
		{
			"no hosts are left",
			[]session.Session{on(t, "a", 1, owner{before, "a"})},
			new(balancer.Table),
			impact{exact: true, open: 1, moved: 1, moves: map[move]float64{{"a", ""}: 1}, before: map[string]float64{"a": 1}, after: map[string]float64{"": 1}},
		},
	} {
		got := impactOf(row.live, before, before, row.to)
		want := row.want
		for _, m := range []*map[string]float64{&want.before, &want.after} {
			if *m == nil {
				*m = map[string]float64{}
			}
		}
		if want.moves == nil {
			want.moves = map[move]float64{}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(impact{}, move{})); diff != "" {
			t.Errorf("%s: -want +got\n%s", row.name, diff)
		}
	}
}

// TestImpactExpectsByShare: a key's number by one hash says nothing about another.
func TestImpactExpectsByShare(t *testing.T) {
	before := tableFor(t, balancer.PolicyRendezvous, "a", "b")
	after := tableFor(t, balancer.PolicyKetama, "a", "b")
	shares := after.Shares()
	got := impactOf([]session.Session{on(t, "a", 100, owner{before, "a"}), {Host: "b", Tunnels: 5}}, before, before, after)
	if got.exact || got.open != 105 || !near(got.moved, 100*shares[1]) || !near(got.after["a"], 100*shares[0]) || !near(got.after["b"], 5+100*shares[1]) {
		t.Errorf("got %+v, the shares are %v", got, shares)
	}
}

// TestImpactExpectsTerminalsOutsideTheRing: they go with the other keys of their
// owner.
func TestImpactExpectsTerminalsOutsideTheRing(t *testing.T) {
	before := tableFor(t, balancer.PolicyRendezvous, "a", "b")
	after := tableFor(t, balancer.PolicyKetama, "a", "b")
	shares := after.Shares()
	live := []session.Session{on(t, "drained", 10, owner{before, "a"}), on(t, "b", 10, owner{before, "b"})}
	s := impactOf(live, before, before, after)
	if rest := s.rest(balancer.Compare(before, after).Routes); len(rest) != 0 {
		t.Errorf("got moves %v beside the routes of keys", rest)
	}
	if s.astray != 10 || !near(s.moved, 10*shares[1]+10*shares[0]) || !near(s.terminals(move{"a", "b"}), 10*shares[1]) || !near(s.terminals(move{"b", "a"}), 10*shares[0]) {
		t.Errorf("astray %d, moved %v, the shares are %v", s.astray, s.moved, shares)
	}
}

func TestRestHasTheMovesThatNoRouteHas(t *testing.T) {
	s := impact{moves: map[move]float64{{"a", "b"}: 1, {"x", "b"}: 2, {"x", "a"}: 2, {"y", "a"}: 9}}
	got := s.rest([]balancer.Route{{From: "a", To: "b", Share: 0.5}})
	want := []move{{"y", "a"}, {"x", "a"}, {"x", "b"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(move{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
