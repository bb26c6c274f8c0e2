package pool

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestArrivalsAreExpectedUntilTheirTerminalOpensOrAMinuteHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gauges
		expected := func(want int64) {
			t.Helper()
			if got := g.arrivals.count(time.Now()); got != want {
				t.Errorf("%d are expected, want %d", got, want)
			}
		}
		first, second := g.Expect(time.Now()), g.Expect(time.Now())
		expected(2)
		g.Meet(first)
		expected(1)
		time.Sleep(arrivalPeriod)
		third := g.Expect(time.Now())
		expected(2)
		g.Meet(second) // of the period before
		expected(1)
		g.Meet(0) // none
		expected(1)
		fourth := g.Expect(time.Now())
		time.Sleep(2*arrivalPeriod - time.Nanosecond)
		expected(2)
		time.Sleep(time.Nanosecond)
		expected(0)
		g.Meet(third) // has lapsed
		expected(0)
		g.Expect(time.Now())
		g.Meet(fourth)
		expected(1)
	})
}

// TestWhoComesLateChangesNothingForOthers counts requests that began just before a
// period and are placed just after others that began within it: their heads came
// slowly, or the first host didn't answer.
func TestWhoComesLateChangesNothingForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gauges
		g.Expect(time.Now())
		time.Sleep(arrivalPeriod - time.Nanosecond)
		before := time.Now()
		time.Sleep(time.Nanosecond)
		g.Expect(time.Now())
		late := g.Expect(before)
		if got := g.arrivals.count(before); got != 3 {
			t.Errorf("%d are expected, want 3", got)
		}
		g.Meet(late)
		if got := g.arrivals.count(time.Now()); got != 2 {
			t.Errorf("%d are expected, want 2", got)
		}
	})
}
