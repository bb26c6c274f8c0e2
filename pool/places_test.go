package pool

import (
	"fmt"
	"testing"
	"time"

	"tokenring/route"
)

// places are hosts by key.
type places []string

// A move is a key that goes to another host.
type move struct {
	key      int
	from, to string
}

func (before places) to(after places) (moves []move) {
	for i := range before {
		if before[i] != after[i] {
			moves = append(moves, move{i, before[i], after[i]})
		}
	}
	return moves
}

// count returns how many keys a host has.
func (p places) count(host string) (n int) {
	for _, at := range p {
		if at == host {
			n++
		}
	}
	return n
}

// keyOf returns a key that the table places on owner.
func keyOf(t testing.TB, s *route.Snapshot, owner string) []byte {
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

// compareWithChoose fails the test unless Explain and Choose name the same host and
// rule, and each other host has a reason.
func compareWithChoose(t *testing.T, s *route.Snapshot, key []byte, condition string) {
	t.Helper()
	e := s.Explain(s.Key(key), route.Stay{}, route.Placement{}, time.Now())
	want, ok := s.Choose(s.Key(key), nil)
	if !ok {
		want.Host = nil
	}
	if e.Choice != want || e.Reason == "" {
		t.Errorf("%s: got %+v, Choose says %+v", condition, e, want)
	}
	if len(e.Candidates) != len(s.Hosts) {
		t.Errorf("%s: %d candidates of %d hosts", condition, len(e.Candidates), len(s.Hosts))
	}
	for _, c := range e.Candidates {
		if c.Chosen != (want.Host != nil && c.Name == want.Host.Name) || c.Chosen != (c.WhyNot == "") {
			t.Errorf("%s: candidate %+v, chosen is %+v", condition, c, want.Host)
		}
	}
}
