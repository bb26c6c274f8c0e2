//go:build integration

package integration

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

func TestADrainMovesNoConnectedUser(t *testing.T) {
	r := enter(t)
	before := r.find(t)
	onVictim := before.of(victim)
	live := []string{onVictim[0], onVictim[1], onVictim[2], before.of("ide-1")[0], before.of("ide-3")[0]}
	terminals := r.lbs[0].open(t, live...)
	r.drain(t, r.lbs[1])

	for range 5 {
		mustLive(t, terminals)
		during(500 * time.Millisecond)
	}
	hangUp(terminals[1:]) // one of the drained host's stays
	eventually(t, "one session is left on the draining host", func() error {
		if h, err := r.lbs[0].host(victim); err != nil || h.Sessions != 1 {
			return fmt.Errorf("it has %d, %v", h.Sessions, err)
		}
		return nil
	})
	mustLive(t, terminals[:1])
	first, second := r.lbs[0].find(t), r.lbs[1].find(t)
	first.mustBe(t, second, "the balancers disagree")
	if got := second.of(victim); !slices.Equal(got, live[:1]) {
		t.Errorf("lb-2 sends %d tokens to the draining host, want the one with a live terminal through lb-1", len(got))
	}
	others := maps.Clone(second)
	others[live[0]] = "ide-1" // it is where its terminal is; of all others it matters where they went
	r.mustInherit(t, before, others)
	if err := r.lbs[0].decide(victim, "ready", "enough"); err != nil {
		t.Fatal(err)
	}
	r.calm(t)
	r.find(t).mustBe(t, before, "a token isn't back")
}

// drain drains the victim through lb, and waits until all balancers do.
func (r *region) drain(t *testing.T, lb *balancer) {
	t.Helper()
	if err := lb.decide(victim, "drain", reason); err != nil {
		t.Fatal(err)
	}
	if h, err := lb.host(victim); err != nil || h.State != "drain" {
		t.Fatalf("%s has answered, and the host is %q, %v", lb.name, h.State, err)
	}
	eventually(t, "all balancers drain the host", r.draining)
}

const reason = "a new kernel"

// draining tells which balancer doesn't drain the victim with a ring of the
// others.
func (r *region) draining() error {
	for _, lb := range r.lbs {
		if h, err := lb.host(victim); err != nil || h.State != "drain" || h.Reason != reason || h.InRing {
			return fmt.Errorf("%s: state %q for %q, in the ring %v, %v", lb.name, h.State, h.Reason, h.InRing, err)
		}
	}
	return r.agreeOn("ide-1", "ide-3")
}

func TestABalancerRestartsAndTokensKeepTheirHosts(t *testing.T) {
	for name, how := range map[string][]string{"in order": {"restart"}, "after a crash": {"kill", "start"}} {
		t.Run(name, func(t *testing.T) {
			r := enter(t)
			r.drain(t, r.lbs[0])
			want := r.find(t)
			other := r.lbs[1].open(t, tokens[:10]...)
			tr := r.traffic(t)
			tr.lap(t)
			for _, verb := range how {
				docker(t, verb, r.container(t, "lb-1"))
			}
			eventually(t, "the balancer is back, and drains the host", r.draining)
			tr.lap(t)
			tr.end(t)
			tr.mustSucceed(t, func(one trip) bool { return one.lb == "lb-2" })
			tr.mustRoute(t, func(_, token string) []string { return via(want[token]) })
			mustLive(t, other)
			r.find(t).mustBe(t, want, "a token moved")
		})
	}
}

func TestAllBalancersRestartAndTokensKeepTheirHosts(t *testing.T) {
	r := enter(t)
	r.drain(t, r.lbs[0])
	want := r.find(t)
	tr := r.traffic(t)
	tr.lap(t)
	both := []string{r.container(t, "lb-1"), r.container(t, "lb-2")}
	docker(t, append([]string{"kill"}, both...)...)
	docker(t, append([]string{"start"}, both...)...)
	started := time.Now()
	eventually(t, "the balancers are back, and drain the host", r.draining)
	if took := time.Since(started); took > soonBack {
		t.Errorf("they were back after %v, want %v at most", took.Round(time.Millisecond), soonBack)
	}
	tr.lap(t)
	tr.end(t)
	tr.mustSucceed(t, answered)
	tr.mustRoute(t, func(_, token string) []string { return via(want[token]) })
	r.find(t).mustBe(t, want, "a token moved")
}

// soonBack is less than balancers wait for hosts that they remember and can't
// find, or for the hosts' next calls at the worst.
const soonBack = 6 * time.Second

// answered picks the requests that a balancer has answered: one that has no hosts
// yet mustn't.
func answered(one trip) bool {
	var refused *refusal
	return one.err == nil || errors.As(one.err, &refused)
}
