package builder

import (
	"context"
	"testing"
	"testing/synctest"

	"tokenring/balancer"
)

// small keeps table building short.
var small = balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 509, Replicas: 10}}

var threeHosts = []balancer.Host{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "c", Weight: 1}}

func TestTablesOfFormerRingsAreBuiltAfterTheNewTable(t *testing.T) {
	b, err := New(small)
	if err != nil {
		t.Fatal(err)
	}
	o := Order{Number: 1, Hosts: threeHosts, Former: [][]balancer.Host{threeHosts[:2], threeHosts[:1]}}
	made := b.build(o)
	if made.Err != nil || len(made.FormerTables) > 0 {
		t.Fatalf("got %+v", made)
	}
	before := b.buildFormer(b.tables, o)
	if len(before) != 2 || len(before[0].Hosts()) != 2 || len(before[1].Hosts()) != 1 {
		t.Errorf("got %+v", before)
	}
	if again := b.build(Order{Number: 2, Hosts: threeHosts}); again.Table != made.Table {
		t.Error("the table of the same hosts was built twice")
	}
	b.Ask(Order{Number: 3, Hosts: threeHosts[1:]})
	if left := b.buildFormer(b.tables, o); len(left) > 0 {
		t.Errorf("%d tables of former rings were built before the new table", len(left))
	}
}

// wrong returns a builder whose forecasts differ from its library's tables.
func wrong(t *testing.T) *Builder {
	t.Helper()
	b, err := New(small)
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
func (b *Builder) runs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() { b.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
}

func TestAForecastServesUntilTheLibraryConfirmsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := New(small)
		if err != nil {
			t.Fatal(err)
		}
		b.runs(t)
		b.Ask(Order{Number: 1, Hosts: threeHosts, Former: [][]balancer.Host{threeHosts[:2]}})
		first := <-b.built
		if first.Table == nil || first.Verified {
			t.Fatalf("got first %+v, want a forecast", first)
		}
		for range 2 { // the two come in any order
			switch p := <-b.built; {
			case p.Table == nil && len(p.FormerTables) != 1, p.Table != nil && (!p.Verified || p.Table != first.Table || p.Doubt != nil):
				t.Errorf("got %+v, want the table of the former ring, and the library's confirmation", p)
			}
		}
	})
}

func TestTheLibrarysTableReplacesAWrongForecast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := wrong(t)
		b.runs(t)
		b.Ask(Order{Number: 1, Hosts: threeHosts})
		forecast, said := <-b.built, <-b.built
		want, _ := b.library.Build(threeHosts) // run has nothing to do
		if said.Table.Digest() != want.Digest() || said.Doubt == nil || forecast.Table.Digest() == want.Digest() {
			t.Errorf("got %s after %s, doubt %v; the library says %s", said.Table.Digest(), forecast.Table.Digest(), said.Doubt, want.Digest())
		}
		b.Ask(Order{Number: 2, Hosts: threeHosts[1:], Former: [][]balancer.Host{threeHosts[1:2]}})
		if next := <-b.built; !next.Verified || next.Doubt != nil || len(next.Table.Hosts()) != 2 {
			t.Errorf("got %+v, want no forecast any more", next)
		}
		if former := <-b.built; len(former.FormerTables) != 1 {
			t.Errorf("got %+v, want the table of the former ring", former)
		}
	})
}

// TestPoliciesWithoutALibraryBuildEachTableOnce: there is nothing to compare their
// tables with.
func TestPoliciesWithoutALibraryBuildEachTableOnce(t *testing.T) {
	b, err := New(balancer.Config{Policy: balancer.PolicyRendezvous})
	if err != nil || b.library != nil {
		t.Errorf("got library %v, error %v", b.library, err)
	}
}

// handed returns a table that another process has built, by a configuration.
func handed(t *testing.T, cfg balancer.Config) *balancer.Table {
	t.Helper()
	tables, err := balancer.NewForecaster(cfg)
	if err != nil {
		t.Fatal(err)
	}
	table, err := tables.Build(threeHosts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestAKnownTableIsVerifiedAndNotBuiltAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := New(small)
		if err != nil {
			t.Fatal(err)
		}
		b.runs(t)
		known := handed(t, small)
		b.Ask(Order{Number: 1, Hosts: threeHosts, Known: known})
		if first := <-b.built; first.Table != known || first.Took != 0 || first.Verified {
			t.Errorf("got %+v", first)
		}
		if second := <-b.built; second.Table != known || !second.Verified || second.Doubt != nil {
			t.Errorf("then %+v", second)
		}
		b.Ask(Order{Number: 2, Hosts: threeHosts})
		if again := <-b.built; again.Table != known {
			t.Error("the table of the same hosts was built again")
		}
	})
}

func TestAKnownTableThatTheLibraryDoesntMakeIsReplaced(t *testing.T) {
	other := small
	other.Consistent.Replicas++
	for _, mistrusted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b, err := New(small)
			if err != nil {
				t.Fatal(err)
			}
			if mistrusted {
				b.Mistrust()
			}
			b.runs(t)
			known := handed(t, other)
			b.Ask(Order{Number: 1, Hosts: threeHosts, Known: known})
			if !mistrusted {
				<-b.built
			}
			if made := <-b.built; made.Doubt == nil || !made.Verified || made.Table.Digest() == known.Digest() {
				t.Errorf("mistrusted %t: got %+v", mistrusted, made)
			}
		})
	}
}

func TestATableThatTheLibraryHasConfirmedIsNotVerifiedAgain(t *testing.T) {
	for _, mistrusted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b, err := New(small)
			if err != nil {
				t.Fatal(err)
			}
			if mistrusted {
				b.Mistrust()
			}
			b.runs(t)
			known := handed(t, small)
			b.Ask(Order{Number: 1, Hosts: threeHosts, Known: known, Confirmed: true})
			if first := <-b.built; first.Table != known {
				t.Errorf("got %+v", first)
			}
			synctest.Wait()
			select {
			case p := <-b.built:
				t.Errorf("then %+v", p)
			default:
			}
		})
	}
}
