package edge

import (
	"testing"
	"time"
)

// TestAHostThatReturnsGetsItsTokensSlowly drains a host and makes it ready again. Its
// tokens stay where they were for at least a second, and all come back within four.
func TestAHostThatReturnsGetsItsTokensSlowly(t *testing.T) {
	t.Parallel()
	b := startPair(t, "sessions: {linger: off}", "slow_start: 4s") // else tokens stay while they are used
	tokens := b.tokens(30)
	b.api("PATCH", "/v1/hosts/a", `{"state":"drain"}`)
	if got := b.page(tokens[0]); got != "b" {
		t.Fatalf("drained: the token is on %s", got)
	}
	asked := time.Now() // the slow start begins after this, and before the answer
	b.api("PATCH", "/v1/hosts/a", `{"state":"ready"}`)
	back := time.Now()
	early := func() bool { return time.Since(asked) < time.Second }
	for _, token := range tokens {
		if got := b.page(token); got != "b" && early() {
			t.Fatalf("just back: the token is on %s", got)
		}
	}
	if got := b.api("POST", "/v1/explain", `{"token":"`+tokens[0]+`"}`); (got.Rule != "slow-start" || got.Host != "b") && early() {
		t.Errorf("just back: got %+v, want b by slow-start", got)
	}
	seen := map[string]bool{}
	for late := false; !late && len(seen) < len(tokens); <-time.After(100 * time.Millisecond) {
		late = time.Since(back) > 5*time.Second // then this round finds all of them
		for _, token := range tokens {
			switch where := b.page(token); {
			case where == "a":
				seen[token] = true
			case seen[token]:
				t.Fatalf("a token went back to %s", where)
			}
		}
	}
	if took := time.Since(asked); len(seen) < len(tokens) || took < time.Second {
		t.Errorf("%d of %d tokens are back after %v", len(seen), len(tokens), took)
	}
	if got := b.api("POST", "/v1/explain", `{"token":"`+tokens[0]+`"}`); got.Rule != "owner" || got.Host != "a" {
		t.Errorf("after that: got %+v, want a by owner", got)
	}
}
