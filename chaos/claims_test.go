package main

import "testing"

func TestClaimsAreCountedOverRestarts(t *testing.T) {
	said := func(free, slow, all float64) map[string]float64 {
		return map[string]float64{
			`lb_claims_total{result="free"}`: free, `lb_claim_wait_seconds_bucket{le="0.01"}`: all - slow,
			`lb_claim_wait_seconds_bucket{le="0.1"}`: all, `lb_claim_wait_seconds_bucket{le="+Inf"}`: all,
		}
	}
	c := claimCount{results: map[string]float64{}}
	c.add(nil, said(5, 0, 5))
	c.add(said(5, 0, 5), said(8, 1, 8))
	c.add(said(8, 1, 8), said(2, 0, 2)) // it has started again
	if got, want := c.String(), "free 10; the longest wait was at most 0.1 s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
