package admin

import (
	"io"
	"net/http"
	"testing"
	"time"
)

func TestLimitsAreTold(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	if w := ask(s, http.MethodGet, "/v1/limits", ""); w.Code != 200 || w.Body.String() != `{"most_known":0,"top":[]}`+"\n" {
		t.Errorf("without limits: got %d %s", w.Code, w.Body)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.deps.Limits = func() Limits {
		return Limits{
			PerSource: &Quota{Requests: "200/s", Terminals: 20, Burst: "2s", Known: 3}, MostKnown: 64,
			Top: []Offender{{Source: "192.0.2.1/32", Limit: "per_source.requests", Refused: 7, Last: at}},
		}
	}
	want := `{"per_source":{"requests":"200/s","terminals":20,"burst":"2s","known":3},"most_known":64,` +
		`"top":[{"source":"192.0.2.1/32","limit":"per_source.requests","refused":7,"last":"2026-01-02T03:04:05Z"}]}` + "\n"
	if w := ask(s, http.MethodGet, "/v1/limits", ""); w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
