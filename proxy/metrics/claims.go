package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/session/claims"
)

// Claims are the keys about which peers were asked before they were sent to a host.
type Claims struct {
	seconds prometheus.Histogram
	results map[claims.Result]prometheus.Counter
}

func newClaims(reg prometheus.Registerer) Claims {
	all := counters(reg, "lb_claims_total", "Tokens without a session about which the other balancers were asked before they were sent to a host, by result.", "result")
	return Claims{
		seconds: register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "lb_claim_wait_seconds",
			Help:    "How long requests of tokens without a session have waited until the other balancers had been asked.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2},
		})),
		results: map[claims.Result]prometheus.Counter{
			claims.Agreed:  all.WithLabelValues("free"),
			claims.Taken:   all.WithLabelValues("held"),
			claims.Late:    all.WithLabelValues("late"),
			claims.Unasked: all.WithLabelValues("unasked"),
		},
	}
}

// Decided counts a claim for which a request has waited, unless nobody was asked.
func (c *Claims) Decided(r claims.Result, waited time.Duration) {
	if counter := c.results[r]; counter != nil {
		counter.Inc()
		c.seconds.Observe(waited.Seconds())
	}
}
