package route

import (
	"fmt"
	"testing"

	"tokenring/balancer"
)

// testSnapshot returns a snapshot of serving hosts after change, and of the
// table over all of them.
func testSnapshot(t testing.TB, names []string, change func(map[string]*Host)) *Snapshot {
	t.Helper()
	var hosts []*Host
	var placed []balancer.Host
	byName := map[string]*Host{}
	for _, name := range names {
		h := &Host{Spec: Spec{Name: name, Weight: 1}, AdminState: AdminState{State: Ready}, Health: Health{Verdict: Up}, Standing: Standing{InRing: true}, Gauges: new(Gauges)}
		hosts, byName[name] = append(hosts, h), h
		placed = append(placed, balancer.Host{Name: name, Weight: 1})
	}
	if change != nil {
		change(byName)
	}
	return NewSnapshot(testTable(t, balancer.Config{}, placed), hosts)
}

// keyOf returns a key that the table places on owner.
func keyOf(t testing.TB, s *Snapshot, owner string) []byte {
	t.Helper()
	for i := range 10_000 {
		key := fmt.Appendf(nil, "key-%d", i)
		if s.Table.Hosts()[s.Table.Owner(key)].Name == owner {
			return key
		}
	}
	t.Fatalf("no key for %s", owner)
	return nil
}

func TestChooseFollowsTheTable(t *testing.T) {
	s := testSnapshot(t, []string{"c", "a", "b"}, nil)
	for _, name := range []string{"a", "b", "c"} {
		got, ok := s.Choose(s.Key(keyOf(t, s, name)), nil)
		if !ok || got.Host.Name != name || got.Rule != balancer.RuleOwner {
			t.Errorf("key of %s: got %+v %t", name, got, ok)
		}
	}
}

func TestChooseFallsBackOnTheSuccessor(t *testing.T) {
	all := []string{"a", "b", "c", "d"}
	whole := testSnapshot(t, all, nil)
	key := keyOf(t, whole, "a")
	successor := whole.Table.Hosts()[whole.Table.Candidates(key)[1]].Name
	stranger := &Host{Spec: Spec{Name: "a"}} // of another snapshot
	for name, row := range map[string]struct {
		s     *Snapshot
		avoid *Host
	}{
		"owner down":        {testSnapshot(t, all, func(h map[string]*Host) { h["a"].Verdict = Down }), nil},
		"owner unchecked":   {testSnapshot(t, all, func(h map[string]*Host) { h["a"].Verdict = Unchecked }), nil},
		"owner waits":       {testSnapshot(t, all, func(h map[string]*Host) { h["a"].Waits = true }), nil},
		"owner out already": {testSnapshot(t, all, func(h map[string]*Host) { h["a"].InRing = false }), nil},
		"owner just failed": {whole, stranger},
	} {
		got, ok := row.s.Choose(row.s.Key(key), row.avoid)
		if !ok || got.Host.Name != successor || got.Rule != balancer.RuleFallback {
			t.Errorf("%s: got %+v %t, want %s by %s", name, got, ok, successor, balancer.RuleFallback)
		}
	}
}

func TestFrozenRingMovesNoKeyOfAVanishedHost(t *testing.T) {
	s := testSnapshot(t, []string{"a", "b", "c"}, func(h map[string]*Host) { h["a"].Verdict, h["b"].Verdict = Down, Down })
	s.Frozen = true
	if got, ok := s.Choose(s.Key(keyOf(t, s, "a")), nil); ok || got.Rule != RuleFrozen || got.Host.Name != "a" {
		t.Errorf("key of a vanished host: got %+v %t, want none by %s", got, ok, RuleFrozen)
	}
	s.Host("b").Verdict = Unchecked // gossip has found it again
	if got, ok := s.Choose(s.Key(keyOf(t, s, "b")), nil); ok || got.Rule != RuleFrozen || got.Host.Name != "b" {
		t.Errorf("key of an unchecked host: got %+v %t, want none by %s", got, ok, RuleFrozen)
	}
	key := keyOf(t, s, "c")
	if got, ok := s.Choose(s.Key(key), nil); !ok || got.Host.Name != "c" {
		t.Errorf("key of a host that is there: got %+v %t", got, ok)
	}
	if got, ok := s.Choose(s.Key(key), s.Host("c")); ok || got.Rule != RuleFrozen {
		t.Errorf("key of a host that just failed: got %+v %t, want none by %s", got, ok, RuleFrozen)
	}
	if got, ok := s.Choose(Key{}, nil); !ok || got.Host.Name != "c" {
		t.Errorf("no key: got %+v %t", got, ok)
	}
}

func TestFrozenRingMovesKeysThatAnOperatorTookAway(t *testing.T) {
	s := testSnapshot(t, []string{"a", "b", "c"}, func(h map[string]*Host) {
		h["a"].Verdict, h["b"].Verdict = Down, Down
		h["a"].InRing, h["a"].State = false, Maint // the table lags behind
	})
	s.Frozen = true
	if got, ok := s.Choose(s.Key(keyOf(t, s, "a")), nil); !ok || got.Host.Name != "c" {
		t.Errorf("got %+v %t, want c", got, ok)
	}
}

func TestRequestsWithoutKeyGoToAllHostsInTurn(t *testing.T) {
	s := testSnapshot(t, []string{"a", "b", "c", "d"}, func(h map[string]*Host) { h["b"].Verdict = Down })
	count := map[string]int{}
	for range 300 {
		got, ok := s.Choose(Key{}, nil)
		if !ok || got.Rule != balancer.RuleRoundRobin {
			t.Fatalf("got %+v %t", got, ok)
		}
		count[got.Host.Name]++
	}
	if count["a"] != 100 || count["c"] != 100 || count["d"] != 100 {
		t.Errorf("got %v, want 100 each for a, c and d", count)
	}
	for range 10 {
		if got, ok := s.Choose(s.Key([]byte{}), s.Host("c")); !ok || got.Host.Name == "c" {
			t.Errorf("avoiding c: got %+v %t", got, ok)
		}
	}
}

func TestChooseFindsNoHostIfNoneServes(t *testing.T) {
	for name, s := range map[string]*Snapshot{
		"no hosts": NewSnapshot(nil, nil),
		"all down": testSnapshot(t, []string{"a", "b"}, func(h map[string]*Host) { h["a"].Verdict, h["b"].Verdict = Down, Down }),
	} {
		for _, key := range [][]byte{nil, []byte("k")} {
			if got, ok := s.Choose(s.Key(key), nil); ok || got.Host != nil || got.Rule != balancer.RuleNone {
				t.Errorf("%s, key %q: got %+v %t", name, key, got, ok)
			}
		}
	}
	one := testSnapshot(t, []string{"a"}, nil)
	if got, ok := one.Choose(Key{}, one.Host("a")); ok {
		t.Errorf("the only one has just failed: got %+v", got)
	}
}

func TestChooseSurvivesATableWithAForgottenHost(t *testing.T) {
	whole := testSnapshot(t, []string{"a", "b"}, nil)
	s := NewSnapshot(whole.Table, []*Host{whole.Host("b")})
	if got, ok := s.Choose(s.Key(keyOf(t, whole, "a")), nil); !ok || got.Host.Name != "b" {
		t.Errorf("got %+v %t, want b", got, ok)
	}
}

func TestChooseDoesNotAllocate(t *testing.T) {
	s := testSnapshot(t, []string{"a", "b", "c"}, func(h map[string]*Host) { h["a"].Verdict = Down })
	avoid, key := s.Host("b"), []byte("some key")
	frozen := *s
	frozen.Frozen = true
	if n := testing.AllocsPerRun(100, func() {
		s.Choose(s.Key(key), nil)
		s.Choose(s.Key(key), avoid)
		s.Choose(Key{}, avoid)
		frozen.Choose(frozen.Key(key), avoid)
	}); n != 0 {
		t.Errorf("Choose allocates %v times", n)
	}
}

func BenchmarkChoose(b *testing.B) {
	s := testSnapshot(b, []string{"a", "b", "c"}, nil)
	key := []byte("some key")
	b.ReportAllocs()
	for b.Loop() {
		s.Choose(s.Key(key), nil)
	}
}
