package admin

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/pool"
)

func TestAWarmUpIsShownWhileItLasts(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	show := func(w pool.Warming) (*warmingBody, string) {
		r.put(r.Snapshot().Hosts, func(s *pool.Snapshot) { s.Host("ide-1").Warming = w })
		host := decode[hostBody](t, ask(s, "GET", "/v1/hosts/ide-1", ""), http.StatusOK)
		return host.Warming, ask(s, "GET", "/metrics", "").Body.String()
	}
	warming, metrics := show(pool.Warming{Since: aDay, Until: aDay.Add(30 * time.Second), Taken: 0.25})
	if want := (warmingBody{aDay, aDay.Add(30 * time.Second), 0.25}); warming == nil || *warming != want {
		t.Errorf("got %+v, want %+v", warming, want)
	}
	if !strings.Contains(metrics, "\n"+`lb_host_warming{host="ide-1"} 0.25`+"\n") || strings.Contains(metrics, `lb_host_warming{host="ide-2"}`) {
		t.Errorf("metrics: %s", metrics)
	}
	if warming, metrics := show(pool.Warming{}); warming != nil || strings.Contains(metrics, "lb_host_warming{") {
		t.Errorf("afterwards: %+v, %s", warming, metrics)
	}
}

func TestTheRingSaysHowSlowlyHostsStart(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	for slow, want := range map[time.Duration]float64{0: 0, 1500 * time.Millisecond: 1.5, time.Hour: 3600} {
		r.put(r.Snapshot().Hosts, func(s *pool.Snapshot) { s.SlowStart = slow })
		if got := decode[ringBody](t, ask(s, "GET", "/v1/ring", ""), http.StatusOK).SlowStart; got != want {
			t.Errorf("%v: got %v seconds", slow, got)
		}
	}
}
