//go:build integration

package integration

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestTokensKeepTheirHostAcrossBalancers(t *testing.T) {
	r := enter(t)
	want := r.find(t)
	for _, lb := range r.lbs {
		for _, m := range lb.open(t, tokens...) {
			if err := m.beat(); err != nil {
				t.Fatal(err)
			}
			if m.host != want[m.token] {
				t.Errorf("%s opened a terminal on %s, want %s", lb.name, m.host, want[m.token])
			}
		}
	}
	ring, err := r.lbs[0].ring()
	if err != nil {
		t.Fatal(err)
	}
	for host := range hosts {
		mustBeAbout(t, host, len(want.of(host)), len(tokens), ring.share(host))
	}
}

// mustBeAbout fails the test if count is further than four standard deviations
// from what share of total says: once in 16,000 times by chance, but the tokens
// are always the same, and so are their places.
func mustBeAbout(t *testing.T, host string, count, total int, share float64) {
	t.Helper()
	mean := float64(total) * share
	t.Logf("%s has %d of %d tokens, and %.1f %% of the ring", host, count, total, 100*share)
	if math.Abs(float64(count)-mean) > 4*math.Sqrt(mean*(1-share)) {
		t.Errorf("%s has %d of %d tokens, want about %.0f", host, count, total, mean)
	}
}

func TestAHostJoinsAndOnlyItsShareMoves(t *testing.T) {
	r := enter(t)
	before := r.find(t)
	live, idle := tokens[:40], tokens[40:]
	terminals := append(r.lbs[0].open(t, live[:20]...), r.lbs[1].open(t, live[20:]...)...)

	joining := r.traffic(t)
	joining.lap(t)
	command(t, slices.Concat(r.compose, []string{"up", "-d", "--no-recreate", fourth}))
	eventually(t, "the host has joined", func() error { return r.agreeOn("ide-1", "ide-2", "ide-3", fourth) })
	joining.lap(t)
	joining.end(t)
	joining.mustSucceed(t, all)
	mustLive(t, terminals)
	moved := map[string]bool{}
	for _, token := range idle {
		host, err := r.lbs[0].whoami(token)
		if err != nil {
			t.Fatal(err)
		}
		moved[token] = host != before[token]
	}
	homes := map[string]string{} // of live tokens, by balancer and token
	for _, m := range terminals {
		homes[m.lb.name+" "+m.token] = m.host
	}
	joining.mustRoute(t, func(lb, token string) []string {
		switch {
		case homes[lb+" "+token] != "":
			return []string{homes[lb+" "+token]}
		case moved[token]:
			return []string{before[token], fourth}
		case slices.Contains(idle, token):
			return []string{before[token]}
		}
		return nil // live through the other balancer, which alone knows
	})
	r.mustHaveFairShare(t, moved)
	hangUp(terminals)
	r.leaves(t, before)
}

// mustHaveFairShare fails the test unless the fourth host has a fourth of the
// ring, and as many of the tokens as that says.
func (r *region) mustHaveFairShare(t *testing.T, moved map[string]bool) {
	t.Helper()
	ring, err := r.lbs[0].ring()
	if err != nil {
		t.Fatal(err)
	}
	if share := ring.share(fourth); share < 0.20 || share > 0.30 {
		t.Errorf("the fourth host has %.1f %% of the ring, want a fourth", 100*share)
	}
	count := 0
	for _, m := range moved {
		if m {
			count++
		}
	}
	mustBeAbout(t, fourth, count, len(moved), ring.share(fourth))
}

// leaves makes the fourth host leave. Only its own users move, and each gets the host
// again that it had in before.
func (r *region) leaves(t *testing.T, before seats) {
	t.Helper()
	eventually(t, "the terminals are forgotten", func() error {
		for _, lb := range r.lbs {
			for name := range hosts {
				if h, err := lb.host(name); err != nil || h.Sessions > 0 {
					return fmt.Errorf("%s has %d sessions on %s, %v", lb.name, h.Sessions, name, err)
				}
			}
		}
		return nil
	})
	with := r.find(t)
	leaving := r.traffic(t)
	leaving.lap(t)
	docker(t, "stop", r.container(t, fourth))
	eventually(t, "the host has left", func() error { return r.agreeOn("ide-1", "ide-2", "ide-3") })
	leaving.lap(t)
	leaving.end(t)
	leaving.mustSucceed(t, all)
	leaving.mustRoute(t, func(_, token string) []string { return via(with[token], before[token]) })
}

// via is a route without repetitions.
func via(hosts ...string) []string { return slices.Compact(hosts) }

func hangUp(terminals []*terminal) {
	for _, m := range terminals {
		m.conn.CloseNow()
	}
}

const victim = "ide-2"

func TestAKilledHostLosesOnlyItsTokensAndOnce(t *testing.T) {
	r := enter(t)
	before := r.find(t)
	others := slices.Concat(before.of("ide-1")[:10], before.of("ide-3")[:10])
	terminals := append(r.lbs[0].open(t, others[:10]...), r.lbs[1].open(t, others[10:]...)...)
	orphan := r.lbs[0].open(t, before.of(victim)[0])[0]

	tr := r.traffic(t)
	tr.lap(t)
	docker(t, "kill", r.container(t, victim))
	down := r.markedDown(t, victim)
	successors := r.find(t)
	r.mustInherit(t, before, successors)
	tr.lap(t)
	eventually(t, "the host is out of the ring", func() error { return r.agreeOn("ide-1", "ide-3") })
	during(time.Second)
	r.find(t).mustBe(t, successors, "a token moved when its host left the ring, though it had moved before")
	mustLive(t, terminals)
	adopted := r.lbs[0].open(t, orphan.token)
	mustLive(t, adopted)
	if adopted[0].host != successors[orphan.token] || orphan.beat() == nil {
		t.Errorf("a terminal of the host that died is on %s, want %s and the old one ended", adopted[0].host, successors[orphan.token])
	}
	hangUp(adopted)
	docker(t, "start", r.container(t, victim))
	r.calm(t)
	tr.lap(t)
	tr.end(t)
	r.mustReturn(t, tr, before, successors, down)
}

func TestAHostThatIsCutOffGetsItsTokensBack(t *testing.T) {
	for name, removed := range map[string]bool{"soon": false, "after it was removed from the ring": true} {
		t.Run(name, func(t *testing.T) {
			r := enter(t)
			before := r.find(t)
			terminals := r.lbs[0].open(t, slices.Concat(before.of("ide-1")[:5], before.of("ide-3")[:5])...)
			tr := r.traffic(t)
			tr.lap(t)
			r.disconnect(t, r.container(t, victim))
			down := r.markedDown(t, victim)
			successors := r.find(t)
			r.mustInherit(t, before, successors)
			tr.lap(t)
			if removed {
				eventually(t, "the host is out of the ring", func() error { return r.agreeOn("ide-1", "ide-3") })
			}
			r.connect(t, r.container(t, victim), hosts[victim])
			r.calm(t)
			tr.lap(t)
			tr.end(t)
			mustLive(t, terminals)
			r.mustReturn(t, tr, before, successors, down)
		})
	}
}

// markedDown waits until both balancers know that both have found the host down, and returns
// when that was.
func (r *region) markedDown(t *testing.T, host string) time.Time {
	t.Helper()
	eventually(t, host+" is marked down", func() error {
		for _, lb := range r.lbs {
			if h, err := lb.host(host); err != nil || h.Verdict != "down" || h.Votes.Held {
				return fmt.Errorf("%s says %q, held %v, %v", lb.name, h.Verdict, h.Votes.Held, err)
			}
		}
		return nil
	})
	return time.Now()
}

// mustInherit fails the test unless the victim's tokens alone have moved, and
// not all of them to one place.
func (r *region) mustInherit(t *testing.T, before, successors seats) {
	t.Helper()
	inherited := map[string]int{}
	for _, token := range tokens {
		switch {
		case before[token] == victim:
			inherited[successors[token]]++
		case successors[token] != before[token]:
			t.Fatalf("a token of %s moved to %s when %s went", before[token], successors[token], victim)
		}
	}
	t.Logf("the tokens of %s went to %v", victim, inherited)
	if inherited["ide-1"] == 0 || inherited["ide-3"] == 0 || inherited[victim] > 0 {
		t.Errorf("the tokens of %s went to %v, want some on both others", victim, inherited)
	}
}

// mustReturn checks the traffic during an outage. The victim's tokens must have gone to
// their successors and come back, and no other token must have moved. Before the host was
// marked down only requests with the victim's tokens may have failed, and no request after
// that.
func (r *region) mustReturn(t *testing.T, tr *traffic, before, successors seats, down time.Time) {
	t.Helper()
	tr.mustSucceed(t, since(down))
	tr.mustSucceed(t, func(one trip) bool { return before[one.token] != victim })
	tr.mustRoute(t, func(_, token string) []string { return via(before[token], successors[token], before[token]) })
	r.find(t).mustBe(t, before, "a token isn't back")
}

func TestMostHostsVanishAndNoTokenMoves(t *testing.T) {
	r := enter(t)
	before := r.find(t)
	vanishing := map[string]string{"ide-2": r.container(t, "ide-2"), "ide-3": r.container(t, "ide-3")}
	var cuts sync.WaitGroup
	for _, id := range vanishing {
		cuts.Go(func() { r.disconnect(t, id) })
	}
	cuts.Wait()
	eventually(t, "the ring is frozen", func() error { return r.frozen() })
	for range 10 { // for longer than a lost host stays in a ring that isn't frozen
		during(time.Second)
		r.mustKeepPlaces(t, before)
	}
	if err := r.frozen(); err != nil {
		t.Fatal(err)
	}
	for host, id := range vanishing {
		r.connect(t, id, hosts[host])
	}
	r.calm(t)
	r.find(t).mustBe(t, before, "a token isn't back")
}

func (r *region) frozen() error {
	for _, lb := range r.lbs {
		if ring, err := lb.ring(); err != nil || !ring.Frozen || ring.Alarm == "" {
			return fmt.Errorf("%s: frozen %v, alarm %q, %v", lb.name, ring.Frozen, ring.Alarm, err)
		}
	}
	return nil
}

// mustKeepPlaces fails the test unless a token is answered by its own host or, if
// that has vanished, with 503 and the advice to try again.
func (r *region) mustKeepPlaces(t *testing.T, before seats) {
	t.Helper()
	for _, lb := range r.lbs {
		for _, token := range tokens[:20] {
			host, err := lb.whoami(token)
			refused, isRefusal := err.(*refusal)
			switch {
			case before[token] == "ide-1" && (err != nil || host != "ide-1"):
				t.Fatalf("%s sends a token of ide-1 to %q, %v", lb.name, host, err)
			case before[token] == "ide-1":
			case !isRefusal || refused.status != 503 || refused.retryAfter == "":
				t.Fatalf("%s sends a token of %s, which has vanished, to %q, %v; want 503 with Retry-After", lb.name, before[token], host, err)
			}
		}
	}
}
