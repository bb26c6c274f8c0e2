package admin

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/counters"
)

// TestHostsCountOverAllProcesses: what older processes have counted of a host is in its
// numbers. They aren't asked each time.
func TestHostsCountOverAllProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		region := newRegion()
		s := newServer(t, region, io.Discard)
		asked, requests := 0, 5.0
		s.elsewhere.ask = func() counters.Counts {
			asked++
			of := []string{"host", region.Snapshot().Hosts[0].Name}
			return counters.Counts{
				{Name: "lb_host_requests_total", Labels: of, Value: requests},
				{Name: "lb_host_in_flight", Labels: of, Value: 1, Gauge: true},
				{Name: "lb_host_connect_errors_total", Labels: of, Value: 2},
				{Name: "lb_host_resets_total", Labels: of, Value: 3},
				{Name: "lb_host_requests_total", Labels: []string{"host", "gone"}, Value: 7},
			}
		}
		h := region.Snapshot().Hosts[0]
		h.Gauges.Requests.Store(40)
		h.Gauges.InFlight.Store(10)
		for range 3 {
			w := ask(s, "GET", "/v1/hosts/"+h.Name, "")
			for _, want := range []string{`"requests":45`, `"in_flight":11`, `"connect_errors":2`, `"resets":3`} {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("got %s, want %s", w.Body, want)
				}
			}
		}
		if asked != 1 {
			t.Errorf("the others were asked %d times", asked)
		}
		time.Sleep(elsewhereAge + time.Second)
		requests = 6
		if w := ask(s, "GET", "/v1/hosts", ""); !strings.Contains(w.Body.String(), `"requests":46`) {
			t.Errorf("later: got %s", w.Body)
		}
	})
}
