package route

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestReservationsCountUntilTheTerminalOpensOrAMinuteHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gauges
		expected := func(want int64) {
			t.Helper()
			if got := g.reservations.count(time.Now()); got != want {
				t.Errorf("%d are expected, want %d", got, want)
			}
		}
		first, second := g.Reserve(time.Now()), g.Reserve(time.Now())
		expected(2)
		g.Release(first)
		expected(1)
		time.Sleep(reservationPeriod)
		third := g.Reserve(time.Now())
		expected(2)
		g.Release(second) // of the period before
		expected(1)
		g.Release(0) // none
		expected(1)
		fourth := g.Reserve(time.Now())
		time.Sleep(2*reservationPeriod - time.Nanosecond)
		expected(2)
		time.Sleep(time.Nanosecond)
		expected(0)
		g.Release(third) // has expired
		expected(0)
		g.Reserve(time.Now())
		g.Release(fourth)
		expected(1)
	})
}

// TestALateReservationExpiresNoOther places requests that came just before a period
// began, after requests that came within the period. That happens when a head comes
// slowly, or when the first host doesn't answer.
func TestALateReservationExpiresNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gauges
		g.Reserve(time.Now())
		time.Sleep(reservationPeriod - time.Nanosecond)
		before := time.Now()
		time.Sleep(time.Nanosecond)
		g.Reserve(time.Now())
		late := g.Reserve(before)
		if got := g.reservations.count(before); got != 3 {
			t.Errorf("%d are expected, want 3", got)
		}
		g.Release(late)
		if got := g.reservations.count(time.Now()); got != 2 {
			t.Errorf("%d are expected, want 2", got)
		}
	})
}
