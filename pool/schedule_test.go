package pool

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/peers"
	"tokenring/route"
)

var simSeed = flag.Uint64("seed", 0, "TestSchedules runs the schedule of this seed alone")

// TestSchedules runs random schedules: two or three balancers, five hosts and a dozen of users
// with two tabs each, in a network of the test. The real machines of the pool, of sessions, of
// regions and of streams decide. In each schedule the promises of docs/guarantees.md must hold,
// and after some quiet all balancers must know the same. SCHEDULES says how many there are; make schedules runs hundreds.
func TestSchedules(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(t, 5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			identities() // outside of the bubble
			synctest.Test(t, func(t *testing.T) { runSchedule(t, seed).report() })
		})
	}
}

// seeds returns the seeds of the schedules to run.
func seeds(t *testing.T, n int) (list []uint64) {
	if *simSeed != 0 {
		return []uint64{*simSeed}
	}
	if text := os.Getenv("SCHEDULES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("SCHEDULES: %v", err)
		}
	}
	for i := range n {
		list = append(list, uint64(i+1))
	}
	return list
}

// runSchedule runs one schedule, and returns it when it has ended.
func runSchedule(t *testing.T, seed uint64) *simWorld {
	w := newWorld(t, seed)
	kind := simKinds[seed%uint64(len(simKinds))]
	w.note("", "schedule %d: %s, %d balancers, tables within %v, slow start %v", seed, kind.name, len(w.balancers), w.buildTime, w.slowStart)
	w.begin()
	w.pass(12 * time.Second)
	w.users.begin()
	w.happen(kind, time.Minute)
	w.calm()
	const faultsEnd, quiet = 35 * time.Second, time.Minute
	w.pass(faultsEnd)
	w.calm()
	w.pass(quiet)
	w.users.resting.Store(true)
	w.pass(15 * time.Second)
	w.wantAgreement()
	go w.users.end()
	w.pass(5 * time.Second)
	w.users.end()
	if seed%8 < 4 {
		w.pass(w.linger + 40*time.Second)
		w.wantForgotten()
	}
	w.end()
	return w
}

// wantAgreement checks that all balancers know the same.
func (w *simWorld) wantAgreement() {
	first := w.balancers[0].process.Load()
	for _, b := range w.balancers {
		p := b.process.Load()
		if got, want := p.snapshot.Load().Table.Digest(), first.snapshot.Load().Table.Digest(); got != want {
			w.oracle.fail("", "%s has the table %.6s, %s has %.6s", p.name, got, first.name, want)
		}
		if got, want := string(peers.EncodeMessage(p.machine.registers.All()...)), string(peers.EncodeMessage(first.machine.registers.All()...)); got != want {
			w.oracle.fail("", "%s has the registers %s, %s has %s", p.name, got, first.name, want)
		}
		if s := p.snapshot.Load(); s.Rebuilding || s.Frozen {
			w.oracle.fail("", "%s after the quiet: rebuilding %v, frozen %v", p.name, s.Rebuilding, s.Frozen)
		}
		for host, at := range w.told {
			if o := p.machine.registers.State(host); !at.Before(w.calmed) && o.State != route.Ready {
				w.oracle.fail("", "%s has %s in %s, though an operator made it ready at last: by %s", p.name, host, o.State, o.Origin)
			}
		}
		for _, other := range w.balancers {
			if other != b {
				w.wantToldAll(p, other.process.Load())
			}
		}
	}
	for _, token := range w.users.tokens() {
		if w.oracle.lingersAt(token) == "" {
			continue
		}
		digest := simDigester.Digest([]byte(token))
		want, _ := first.goesTo(token, digest)
		for _, b := range w.balancers {
			if got, rule := b.process.Load().goesTo(token, digest); got != want {
				w.oracle.fail(token, "%s would send it to %s (%s), and %s to %s", b.name, got, rule, first.name, want)
			}
		}
	}
}

// wantToldAll checks that a balancer knows the sessions of another one, and no others.
func (w *simWorld) wantToldAll(by, to *simProcess) {
	for _, token := range w.users.tokens() {
		digest := simDigester.Digest([]byte(token))
		want, _ := by.sessions.Host(digest)
		got := ""
		for _, at := range to.region.Holders(digest, time.Now()) {
			if at.Live && at.Peer == by.name {
				got = at.Host
			}
		}
		if got != want {
			w.oracle.fail(token, "%s has it on %q, and %s thinks on %q", by.name, want, to.name, got)
		}
	}
}

// wantForgotten checks that nothing is left of sessions that have ended long ago.
func (w *simWorld) wantForgotten() {
	for _, b := range w.balancers {
		p := b.process.Load()
		for _, token := range w.users.tokens() {
			digest := simDigester.Digest([]byte(token))
			if at := p.stay(digest); at.Rule != "" {
				w.oracle.fail(token, "long after its last use %s has it on %s: %s", b.name, at.Host, at.Rule)
			}
		}
	}
}

// report says what has come of the schedule.
func (w *simWorld) report() {
	if len(w.oracle.violations) > 0 {
		v := w.oracle.violations[0]
		w.t.Errorf("%d violations, the first of %s: %s\nto repeat it: go test ./pool -run 'TestSchedules' -seed %d\n%s",
			len(w.oracle.violations), v.token, v.text, w.seed, w.timeline(v.token))
	}
	if testing.Verbose() {
		w.t.Logf("%d requests, %d terminals, %d refused, %d moves, longest wait %v, %d faults", w.users.requests.Load(), w.users.terminals.Load(), w.users.refused.Load(), w.oracle.moves, w.oracle.longest, len(w.oracle.faults))
	}
}
