package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/route"
)

// newBoundedRegion returns a region that bounds loads. ide-2 has 20 terminals and
// ide-1 has 10; with 1.25 times its share, 19.375, ide-2 is full.
func newBoundedRegion() *fakeRegion {
	r := newRegion()
	r.put(r.Snapshot().Hosts, func(s *route.Snapshot) { s.BoundedLoad = 1.25 })
	return r
}

func TestFullHostsAreShown(t *testing.T) {
	s := newServer(t, newBoundedRegion(), io.Discard)
	all := decode[struct{ Hosts []hostBody }](t, ask(s, "GET", "/v1/hosts", ""), http.StatusOK)
	metrics := ask(s, "GET", "/metrics", "").Body.String()
	for _, h := range all.Hosts {
		want := h.Name == "ide-2"
		if one := decode[hostBody](t, ask(s, "GET", "/v1/hosts/"+h.Name, ""), http.StatusOK); h.Full != want || one.Full != want {
			t.Errorf("%s is full: %t, and asked for alone: %t", h.Name, h.Full, one.Full)
		}
		if line := fmt.Sprintf("lb_host_full{host=%q} %v\n", h.Name, indicator(want)); !strings.Contains(metrics, line) {
			t.Errorf("no line %q in the metrics", line)
		}
	}
	if ring := decode[ringBody](t, ask(s, "GET", "/v1/ring", ""), http.StatusOK); ring.BoundedLoad != 1.25 {
		t.Errorf("the ring's bound is %v", ring.BoundedLoad)
	}
}

func TestNoHostIsFullWithoutABound(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	if body := ask(s, "GET", "/v1/hosts", "").Body.String(); strings.Contains(body, `"full":true`) || !strings.Contains(body, `"full":false`) {
		t.Errorf("got %s", body)
	}
	if body := ask(s, "GET", "/v1/ring", "").Body.String(); !strings.Contains(body, `"bounded_load":0`) {
		t.Errorf("got %s", body)
	}
}

func TestExplainAsksWhereATokenWasPlaced(t *testing.T) {
	r := newBoundedRegion()
	s := newServer(t, r, io.Discard)
	token := string(keyOf(t, r.Snapshot(), "ide-2"))
	explained := func() explainBody {
		return decode[explainBody](t, ask(s, "POST", "/v1/explain", `{"token":"`+token+`"}`), http.StatusOK)
	}
	if got := explained(); got.Host != "ide-1" || got.Rule != "overflow" || got.Candidates[0].WhyNot != "full: 20 terminals, the bound is 20" {
		t.Errorf("a new token: %+v", got)
	}
	s.deps.Placement = func(key balancer.Digest) route.Placement {
		if key != s.deps.Digester.Digest([]byte(token)) {
			t.Errorf("asked for %s", key)
		}
		return route.Placement{Host: "ide-2"}
	}
	if got := explained(); got.Host != "ide-2" || got.Rule != "owner" {
		t.Errorf("a token that is at home: %+v", got)
	}
	s.deps.Placement = func(balancer.Digest) route.Placement { return route.Placement{Host: "ide-1", Away: true} }
	if got := explained(); got.Host != "ide-1" || got.Rule != "placed" || !strings.Contains(got.Reason, "This token stays on ide-1") {
		t.Errorf("a token that is away: %+v", got)
	}
	s.deps.Cookie = "lb"
	s.deps.Placement = func(balancer.Digest) route.Placement { return route.Placement{Host: "ide-1", Taken: true} }
	if got := explained(); got.Host != "ide-1" || got.Rule != "second-chance" || !strings.Contains(got.Reason, "to ide-1, which has taken it") || strings.Contains(got.Reason, "cookie") {
		t.Errorf("a token that was given away: %+v", got)
	}
}
