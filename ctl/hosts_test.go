package ctl

import (
	"testing"
	"time"
)

func TestHowLongAHostHasBeenSteady(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
	for _, row := range []struct {
		is   hostReturn
		want string
	}{
		{hostReturn{}, ""},
		{hostReturn{ReturnsAt: at(6), SteadySince: at(-4)}, "returning, steady for 4s of 10s"},
		{hostReturn{ReturnsAt: at(10)}, "returning, not steady yet"},
		{hostReturn{ReturnsAt: at(-5), SteadySince: at(-15)}, "returning, steady for 10s of 10s"}, // others have it down still
		{hostReturn{ReturnsAt: at(11), SteadySince: at(1)}, "returning, steady for 0s of 10s"},    // the balancer's clock is ahead
	} {
		if got := row.is.text(now); got != row.want {
			t.Errorf("%+v: got %q, want %q", row.is, got, row.want)
		}
	}
}
