package edge

import "testing"

// givenPath is a path that the host a of a pairEdge gives away.
const givenPath = "/given"

// TestASecondChanceInTheFileIsGiven: from the configuration to what operators and the next
// process see.
func TestASecondChanceInTheFileIsGiven(t *testing.T) {
	t.Parallel()
	b := startPair(t, "sessions: {linger: off, second_chance: {header: X-Elsewhere}}", "")
	token := b.tokens(1)[0]
	if host := b.page(token); host != "a" {
		t.Fatalf("it is on %s at first", host)
	}
	for _, path := range []string{givenPath, givenPath, "/"} {
		if host := b.at(path, token); host != "b" {
			t.Errorf("%s is on %s", path, host)
		}
	}
	if e := b.api("POST", "/v1/explain", `{"token":"`+token+`"}`); e.Host != "b" || e.Rule != "second-chance" {
		t.Errorf("it is explained as %+v", e)
	}
	h, err := b.state(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.proxy.RestoreTakers(nil) // as in a process that is new
	if host := b.page(token); host != "a" {
		t.Errorf("a process that knows nothing sends it to %s", host)
	}
	b.inherit(&h)
	if host := b.page(token); host != "b" {
		t.Errorf("the next process sends it to %s", host)
	}
}
