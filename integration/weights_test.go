//go:build integration

package integration

import (
	"fmt"
	"strings"
	"testing"
)

// A whatifView is what a change would do.
type whatifView struct {
	Moved         float64
	SessionsMoved int  `json:"sessions_moved"`
	SessionsExact bool `json:"sessions_exact"`
}

// TestAWeightChangesAsWhatIfSaid has terminals through one balancer while the
// other gives their hosts other weights.
func TestAWeightChangesAsWhatIfSaid(t *testing.T) {
	r := enter(t)
	before := r.find(t)
	live := tokens[:60]
	terminals := r.lbs[0].open(t, live...)
	var said whatifView
	if err := r.lbs[0].call("POST", "/v1/whatif", map[string]any{"weights": map[string]int{victim: 3}}, &said); err != nil {
		t.Fatal(err)
	}

	path := "/v1/hosts/" + victim
	err := r.lbs[1].call("PATCH", path, map[string]any{"weight": 3, "max_moved": said.Moved / 2}, nil)
	if err == nil || !strings.Contains(err.Error(), "409") {
		t.Fatalf("more than was allowed to move: got %v, want a 409", err)
	}
	r.find(t).mustBe(t, before, "a refused decision has moved a token")
	if err := r.lbs[1].call("PATCH", path, map[string]any{"weight": 3, "reason": "more memory"}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both balancers have the weight", func() error { return r.weighs(3) })
	mustLive(t, terminals)
	r.lbs[0].mustStay(t, terminals)
	hangUp(terminals)
	eventually(t, "the terminals are gone", func() error {
		return r.lbs[0].without(terminals)
	})

	after, moved, liveMoved := r.find(t), 0, 0
	for i, token := range tokens {
		if after[token] == before[token] {
			continue
		}
		moved++
		if i < len(live) {
			liveMoved++
		}
		if after[token] != victim {
			t.Errorf("a token went from %s to %s, which has the weight that it had", before[token], after[token])
		}
	}
	mustBeAbout(t, victim, moved, len(tokens), said.Moved)
	if !said.SessionsExact || said.SessionsMoved != liveMoved {
		t.Errorf("what-if said that %d of the terminals would move (exact: %t), and %d have", said.SessionsMoved, said.SessionsExact, liveMoved)
	}
	if err := r.lbs[0].call("PATCH", path, map[string]any{"weight": nil}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both balancers have the host's own weight", func() error { return r.weighs(1) })
	r.find(t).mustBe(t, before, "a token isn't back")
}

// weighs tells what keeps the balancers from agreeing that the victim has this
// weight.
func (r *region) weighs(weight int) error {
	for _, lb := range r.lbs {
		if h, err := lb.host(victim); err != nil || h.Weight != weight {
			return fmt.Errorf("%s: weight %d, %v", lb.name, h.Weight, err)
		}
	}
	return r.agreeOn("ide-1", "ide-2", "ide-3")
}

// mustStay fails the test if a request of a token goes elsewhere than to its
// terminal.
func (lb *balancer) mustStay(t *testing.T, terminals []*terminal) {
	t.Helper()
	for _, m := range terminals {
		if host, err := lb.whoami(m.token); err != nil || host != m.host {
			t.Fatalf("the terminal is on %s, and a request went to %s, %v", m.host, host, err)
		}
	}
}

// without tells which of the terminals' hosts still has sessions through lb.
func (lb *balancer) without(terminals []*terminal) error {
	for _, m := range terminals {
		if h, err := lb.host(m.host); err != nil || h.Sessions != 0 {
			return fmt.Errorf("%s has %d, %v", m.host, h.Sessions, err)
		}
	}
	return nil
}
