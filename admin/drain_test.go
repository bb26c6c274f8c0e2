package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

func TestADrainHasADeadline(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	before := time.Now()
	w := ask(s, http.MethodPatch, "/v1/hosts/ide-1", `{"state":"drain","deadline":"2h","rate":5}`)
	o := r.override.Load()
	if w.Code != http.StatusOK || o == nil {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if after := o.Drain.Deadline.Sub(before); o.Drain.Rate != 5 || after < 2*time.Hour || after > 2*time.Hour+time.Minute {
		t.Errorf("got %+v, which is in %v", o.Drain, after)
	}
	for body, want := range map[string]string{
		`{"state":"drain","deadline":"soon"}`:         "no time from now",
		`{"state":"drain","deadline":"-1m"}`:          "no time from now",
		`{"state":"drain","deadline":"721h"}`:         "no time from now",
		`{"state":"drain","rate":5}`:                  "a rate needs a deadline",
		`{"state":"drain","deadline":"1h","rate":0}`:  "rate",
		`{"state":"maint","deadline":"1h"}`:           "belong to the state drain",
		`{"weight":3,"deadline":"1h"}`:                "belong to the state drain",
		`{"state":"ready","deadline":"1h","rate":20}`: "belong to the state drain",
	} {
		if w := ask(s, http.MethodPatch, "/v1/hosts/ide-2", body); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %d %s, want 422 with %q", body, w.Code, w.Body, want)
		}
	}
}

func TestAHostSaysHowItsDrainEnds(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	for _, row := range []struct {
		state route.State
		end   route.DrainEnd
		want  string
	}{
		{route.Drain, route.DrainEnd{}, ""},
		{route.Ready, route.DrainEnd{Deadline: aDay}, ""},
		{route.Drain, route.DrainEnd{Deadline: aDay}, `{"deadline":"2026-03-01T12:00:00Z","rate":20,"closing":true}`},
		{route.Drain, route.DrainEnd{Deadline: aDay.AddDate(200, 0, 0), Rate: 3}, `{"deadline":"2226-03-01T12:00:00Z","rate":3,"closing":false}`},
	} {
		r.change("ide-1", func(h *route.Host) { h.State, h.DrainEnd = row.state, row.end })
		var got struct{ Drain json.RawMessage }
		if err := json.Unmarshal(ask(s, http.MethodGet, "/v1/hosts/ide-1", "").Body.Bytes(), &got); err != nil || string(got.Drain) != row.want {
			t.Errorf("%+v: got %s, %v", row.end, got.Drain, err)
		}
	}
}

// TestEnoughMustServe: of four hosts of weight 1, ide-3 is down and ide-4 drains.
func TestEnoughMustServe(t *testing.T) {
	for _, row := range []struct {
		what, host, body string
		minServing       float64
		alone            bool // ide-2 is down, too
		want             int
	}{
		{"a quarter serves", "ide-1", `{"state":"drain","max_moved":1}`, 0.25, false, http.StatusOK},
		{"less than 30 % serve", "ide-1", `{"state":"drain","max_moved":1}`, 0.3, false, http.StatusConflict},
		{"it is confirmed", "ide-1", `{"state":"drain"}`, 0.3, false, http.StatusOK},
		{"the host doesn't serve", "ide-3", `{"state":"maint","max_moved":1}`, 0.9, false, http.StatusOK},
		{"no host drains", "ide-1", `{"weight":7,"max_moved":1}`, 0.9, false, http.StatusOK},
		{"none serves: drain", "ide-1", `{"state":"drain","max_moved":1}`, 0, true, http.StatusConflict},
		{"none serves: maint", "ide-1", `{"state":"maint","max_moved":1}`, 0, true, http.StatusConflict},
		{"none serves: weight", "ide-1", `{"weight":0,"max_moved":1}`, 0, true, http.StatusConflict},
	} {
		r := newRegion()
		s := newServer(t, r, io.Discard)
		s.deps.MinServing = row.minServing
		if row.alone {
			r.change("ide-2", func(h *route.Host) { h.Verdict = route.Down })
		}
		if w := ask(s, http.MethodPatch, "/v1/hosts/"+row.host, row.body); w.Code != row.want {
			t.Errorf("%s: got %d %s, want %d", row.what, w.Code, w.Body, row.want)
		}
	}
}
