package admin

import (
	"sync"
	"time"

	"tokenring/counters"
)

// A hostTotals is what other processes of this balancer have counted of a host.
type hostTotals struct {
	inFlight                        int64
	requests, connectErrors, resets uint64
}

// elsewhere knows the hostTotals. It asks for them once in a while: that costs all processes
// some time, and a page that is open wants them every second.
type elsewhere struct {
	ask func() counters.Counts // may be nil

	mu     sync.Mutex
	at     time.Time
	totals map[string]hostTotals
}

// elsewhereAge is how old hostTotals may be.
const elsewhereAge = 3 * time.Second

// hosts returns the totals by the names of hosts. They never go back.
func (e *elsewhere) hosts() map[string]hostTotals {
	if e.ask == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.totals == nil || time.Since(e.at) > elsewhereAge {
		e.totals = totalsOf(e.ask())
		e.at = time.Now()
	}
	return e.totals
}

func totalsOf(c counters.Counts) map[string]hostTotals {
	all := map[string]hostTotals{}
	for name, add := range map[string]func(t *hostTotals, v float64){
		"lb_host_in_flight":            func(t *hostTotals, v float64) { t.inFlight += int64(v) },
		"lb_host_requests_total":       func(t *hostTotals, v float64) { t.requests += uint64(v) },
		"lb_host_connect_errors_total": func(t *hostTotals, v float64) { t.connectErrors += uint64(v) },
		"lb_host_resets_total":         func(t *hostTotals, v float64) { t.resets += uint64(v) },
	} {
		for host, v := range c.By("host", name) {
			t := all[host]
			add(&t, v)
			all[host] = t
		}
	}
	return all
}
