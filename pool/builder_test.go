package pool

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"tokenring/balancer"
)

var threeHosts = []balancer.Host{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1}}

func TestRingsOfThePastWaitForThatOfToday(t *testing.T) {
	b, err := newBuilder(small)
	if err != nil {
		t.Fatal(err)
	}
	o := order{1, threeHosts, [][]balancer.Host{threeHosts[:2], threeHosts[:1]}}
	made := b.build(o)
	if made.err != nil || len(made.before) > 0 {
		t.Fatalf("got %+v", made)
	}
	before := b.buildPast(b.tables, o)
	if len(before) != 2 || len(before[0].Hosts()) != 2 || len(before[1].Hosts()) != 1 {
		t.Errorf("got %+v", before)
	}
	if again := b.build(order{2, threeHosts, nil}); again.table != made.table {
		t.Error("the table of the same hosts was built twice")
	}
	b.ask(order{3, threeHosts[1:], nil})
	if left := b.buildPast(b.tables, o); len(left) > 0 {
		t.Errorf("%d rings of the past were built before that of today", len(left))
	}
}

// wrong is a builder whose forecasts aren't what its library says.
func wrong(t *testing.T) *builder {
	t.Helper()
	b, err := newBuilder(small)
	if err != nil {
		t.Fatal(err)
	}
	other := small
	other.Consistent.Replicas++
	if b.library, err = balancer.NewBuilder(other); err != nil {
		t.Fatal(err)
	}
	return b
}

// runs runs b until the test ends.
func (b *builder) runs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() { b.run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
}

func TestAForecastServesUntilTheLibraryHasSpoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := newBuilder(small)
		if err != nil {
			t.Fatal(err)
		}
		b.runs(t)
		b.ask(order{1, threeHosts, [][]balancer.Host{threeHosts[:2]}})
		first := <-b.built
		if first.table == nil || first.verified {
			t.Fatalf("got first %+v, want a forecast", first)
		}
		for range 2 { // the two come in any order
			switch p := <-b.built; {
			case p.table == nil && len(p.before) != 1, p.table != nil && (!p.verified || p.table != first.table || p.doubt != nil):
				t.Errorf("got %+v, want the past, and the library's word for the table that serves", p)
			}
		}
	})
}

func TestTheLibrarysTableReplacesAForecastThatWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := wrong(t)
		b.runs(t)
		b.ask(order{1, threeHosts, nil})
		forecast, said := <-b.built, <-b.built
		want, _ := b.library.Build(threeHosts) // run has nothing to do
		if said.table.Digest() != want.Digest() || said.doubt == nil || forecast.table.Digest() == want.Digest() {
			t.Errorf("got %s after %s, doubt %v; the library says %s", said.table.Digest(), forecast.table.Digest(), said.doubt, want.Digest())
		}
		b.ask(order{2, threeHosts[1:], [][]balancer.Host{threeHosts[1:2]}})
		if next := <-b.built; !next.verified || next.doubt != nil || len(next.table.Hosts()) != 2 {
			t.Errorf("got %+v, want no forecast any more", next)
		}
		if past := <-b.built; len(past.before) != 1 {
			t.Errorf("got %+v, want the past", past)
		}
	})
}

// TestPoliciesWithoutALibraryAreBuiltOnce: nothing could be said of their tables
// that they don't say themselves.
func TestPoliciesWithoutALibraryAreBuiltOnce(t *testing.T) {
	b, err := newBuilder(balancer.Config{Policy: balancer.PolicyRendezvous})
	if err != nil || b.library != nil {
		t.Errorf("got library %v, error %v", b.library, err)
	}
}

func TestAWrongForecastIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := wrong(t)
		l := liveFrom(t, statics("a", "b", "c"), quiet(), func(p *Pool) { p.builder = b })
		defer l.stop()
		l.see(Up, "a", "b", "c")
		l.wantRing("a b c", "all are up")
		first := l.Snapshot().Table.Digest()
		if s := l.Snapshot(); !strings.Contains(s.Alarm, "forecast") || s.Rebuilding {
			t.Errorf("alarm %q, rebuilding %t", s.Alarm, s.Rebuilding)
		}
		if err := l.decide("c", Drain); err != nil {
			t.Fatal(err)
		}
		l.wantRing("a b", "c is drained")
		if s := l.Snapshot(); !strings.Contains(s.Alarm, "forecast") || s.Table.Digest() == first {
			t.Errorf("alarm %q: it must stay until somebody has looked", s.Alarm)
		}
	})
}
