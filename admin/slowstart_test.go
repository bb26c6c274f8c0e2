package admin

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

func TestASlowStartIsShownWhileItLasts(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	show := func(w route.Progress) (*slowStartBody, string) {
		r.put(r.Snapshot().Hosts, func(s *route.Snapshot) { s.Host("ide-1").SlowStart = w })
		host := decode[hostBody](t, ask(s, "GET", "/v1/hosts/ide-1", ""), http.StatusOK)
		return host.SlowStart, ask(s, "GET", "/metrics", "").Body.String()
	}
	warming, metrics := show(route.Progress{Since: aDay, Until: aDay.Add(30 * time.Second), Taken: 0.25})
	if want := (slowStartBody{aDay, aDay.Add(30 * time.Second), 0.25}); warming == nil || *warming != want {
		t.Errorf("got %+v, want %+v", warming, want)
	}
	if !strings.Contains(metrics, "\n"+`lb_host_slow_start{host="ide-1"} 0.25`+"\n") || strings.Contains(metrics, `lb_host_slow_start{host="ide-2"}`) {
		t.Errorf("metrics: %s", metrics)
	}
	if warming, metrics := show(route.Progress{}); warming != nil || strings.Contains(metrics, "lb_host_slow_start{") {
		t.Errorf("afterwards: %+v, %s", warming, metrics)
	}
}

func TestTheRingSaysHowSlowlyHostsStart(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	for slow, want := range map[time.Duration]float64{0: 0, 1500 * time.Millisecond: 1.5, time.Hour: 3600} {
		r.put(r.Snapshot().Hosts, func(s *route.Snapshot) { s.SlowStart = slow })
		if got := decode[ringBody](t, ask(s, "GET", "/v1/ring", ""), http.StatusOK).SlowStart; got == nil || *got != want {
			t.Errorf("%v: got %v seconds", slow, got)
		}
	}
}
