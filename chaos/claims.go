package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tokenring/chaos/region"
)

// A claimCount sums up how the balancers agreed on the hosts of new tokens. Balancers that start
// again begin at zero.
type claimCount struct {
	results map[string]float64
	longest float64                       // a bound of the longest wait, in seconds
	last    map[string]map[string]float64 // by balancer
}

// claimPeriod is how often balancers are asked. What one has counted since then is lost with it.
const claimPeriod = 2 * time.Second

// watch asks the balancers until ctx ends.
func (c *claimCount) watch(ctx context.Context, reg *region.Region) {
	c.results, c.last = map[string]float64{}, map[string]map[string]float64{}
	tick := time.NewTicker(claimPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for balancer, metrics := range reg.Metrics() {
				c.add(c.last[balancer], metrics)
				c.last[balancer] = metrics
			}
		}
	}
}

// add takes in what a balancer says, and said before.
func (c *claimCount) add(before, now map[string]float64) {
	for name, n := range now {
		if label, ok := strings.CutPrefix(name, `lb_claims_total{result="`); ok {
			more := n - before[name]
			if more < 0 {
				more = n
			}
			c.results[strings.TrimSuffix(label, `"}`)] += more
		}
	}
	all, least := now[`lb_claim_wait_seconds_bucket{le="+Inf"}`], math.Inf(1)
	for name, n := range now {
		label, ok := strings.CutPrefix(name, `lb_claim_wait_seconds_bucket{le="`)
		le, err := strconv.ParseFloat(strings.TrimSuffix(label, `"}`), 64)
		if ok && err == nil && n == all {
			least = min(least, le)
		}
	}
	if all > 0 {
		c.longest = max(c.longest, least)
	}
}

func (c *claimCount) String() string {
	counted := map[string]int{}
	for result, n := range c.results {
		counted[result] = int(n)
	}
	return fmt.Sprintf("%s; the longest wait was at most %v s", counts(counted), c.longest)
}
