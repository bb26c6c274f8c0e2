package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/route"
)

// decode reads an answer that has to have that status.
func decode[T any](t *testing.T, w *httptest.ResponseRecorder, status int) (v T) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("got %d %s, want %d", w.Code, w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return v
}

// A fault is what clients read of problem details.
type fault struct {
	Status int
	Title  string
	Detail string
}

func TestStatusSumsUp(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	got := decode[statusBody](t, ask(s, "GET", "/v1/status", ""), http.StatusOK)
	if want := (hostCounts{Total: 4, Ready: 3, Drain: 1, Up: 3, Down: 1, Serving: 2}); got.Hosts != want {
		t.Errorf("hosts: got %+v, want %+v", got.Hosts, want)
	}
	if got.Name != "lb-1" || got.Version != "v1.2.3" || !got.Ready || got.Frozen || got.RingVersion != 42 || got.RingDigest == "" {
		t.Errorf("got %+v", got)
	}
	if got.Sessions != 100 || got.InFlight != 10 {
		t.Errorf("got %d sessions and %d in flight, want 100 and 10", got.Sessions, got.InFlight)
	}
	if got.Agree || !got.Disagree.Equal(aDay) || len(got.Peers) != 3 || !got.Peers[0].Agrees || got.Peers[1].Agrees || got.Peers[2].Alive {
		t.Errorf("peers: got agree %t, disagree since %v, and %+v", got.Agree, got.Disagree, got.Peers)
	}
	if len(got.Certificates) != 1 || !got.Certificates[0].NotAfter.Equal(aDay.AddDate(0, 3, 0)) {
		t.Errorf("certificates: got %+v", got.Certificates)
	}
}

func TestStatusShowsAFrozenRing(t *testing.T) {
	r := newRegion()
	r.put(r.Snapshot().Hosts, func(s *route.Snapshot) {
		s.Frozen, s.FrozenSince, s.FrozenUntil, s.Alarm = true, aDay, aDay.Add(time.Minute), "3 of 4 hosts vanished"
	})
	got := decode[statusBody](t, ask(newServer(t, r, io.Discard), "GET", "/v1/status", ""), http.StatusOK)
	if !got.Frozen || !got.FrozenSince.Equal(aDay) || !got.FrozenUntil.Equal(aDay.Add(time.Minute)) || got.Alarm != "3 of 4 hosts vanished" {
		t.Errorf("got frozen %t since %v until %v, alarm %q", got.Frozen, got.FrozenSince, got.FrozenUntil, got.Alarm)
	}
}

func TestLostBalancersDontCountAsDisagreeing(t *testing.T) {
	yes, no, lost := route.Peer{Alive: true, Agrees: true}, route.Peer{Alive: true}, route.Peer{}
	for _, c := range []struct {
		peers []route.Peer
		want  bool
	}{
		{nil, true},
		{[]route.Peer{yes, yes}, true},
		{[]route.Peer{yes, lost}, true},
		{[]route.Peer{yes, no}, false},
	} {
		if got := agree(c.peers); got != c.want {
			t.Errorf("agree(%+v): got %t, want %t", c.peers, got, c.want)
		}
	}
}

func TestHostsAreListed(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	list := decode[struct{ Hosts []hostBody }](t, ask(s, "GET", "/v1/hosts", ""), http.StatusOK)
	var names []string
	for _, h := range list.Hosts {
		names = append(names, h.Name)
	}
	if want := []string{"ide-1", "ide-2", "ide-3", "ide-4"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	one := decode[hostBody](t, ask(s, "GET", "/v1/hosts/ide-4", ""), http.StatusOK)
	if diff := cmp.Diff(list.Hosts[3], one); diff != "" {
		t.Errorf("the host alone and in the list differ:\n%s", diff)
	}
	want := hostBody{
		Name: "ide-4", ID: 4, Address: "10.0.0.14:4000", Weight: 1, AnnouncedWeight: 1, Zone: "fsn1", Origin: "gossip", Contact: "alive",
		State: "drain", Reason: "new kernel", By: "eva", Since: &aDay, Verdict: "up", CheckedAt: &aDay,
		WhyNot: route.WhyDrain, Sessions: 40, InFlight: 4, Requests: 4000,
	}
	if diff := cmp.Diff(want, one); diff != "" {
		t.Errorf("want, got:\n%s", diff)
	}
}

func TestNoHostsIsAnEmptyList(t *testing.T) {
	r := new(fakeRegion)
	r.put(nil, func(*route.Snapshot) {})
	s := newServer(t, r, io.Discard)
	for path, want := range map[string]string{"/v1/hosts": `"hosts":[]`, "/v1/ring": `"shares":[]`, "/v1/status": `"peers":[]`, "/v1/pool-key": `"gossips":[]`} {
		if w := ask(s, "GET", path, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("GET %s: got %d %s, want %s in it", path, w.Code, w.Body, want)
		}
	}
}

func TestPatchHasEffectAtOnce(t *testing.T) {
	for _, state := range []string{"ready", "drain", "maint"} {
		r := newRegion()
		s := newServer(t, r, io.Discard)
		got := decode[hostBody](t, ask(s, "PATCH", "/v1/hosts/ide-2", `{"state":"`+state+`","reason":"a test","by":"eva"}`), http.StatusOK)
		if got.State != state || got.Reason != "a test" || got.By != "eva" || got.Since == nil || got.InRing != (state == "ready") {
			t.Errorf("%s: got %+v", state, got)
		}
		d := r.override.Load()
		if d.Host != "ide-2" || string(d.State) != state {
			t.Errorf("%s: got the override %+v", state, d)
		}
	}
}

func TestEachOverrideIsAudited(t *testing.T) {
	for _, c := range []struct {
		name, body string
		send       func(s *Server, body string) int
		want       map[string]any
	}{
		{
			"bearer", `{"state":"maint","reason":"disk"}`,
			func(s *Server, body string) int { return ask(s, "PATCH", "/v1/hosts/ide-1", body).Code },
			map[string]any{"level": "info", "by": "api", "through": "api", "from": "ready", "to": "maint", "reason": "disk"},
		},
		{
			"bearer with a name", `{"state":"drain","by":"eva"}`,
			func(s *Server, body string) int { return ask(s, "PATCH", "/v1/hosts/ide-1", body).Code },
			map[string]any{"level": "info", "by": "eva", "through": "api", "from": "ready", "to": "drain", "reason": ""},
		},
		{
			"dashboard", `{"state":"drain"}`,
			func(s *Server, body string) int {
				return send(s, "PATCH", "/v1/hosts/ide-1", body, signedIn(t, s)...).Code
			},
			map[string]any{"level": "info", "by": "dashboard", "through": "dashboard", "from": "ready", "to": "drain", "reason": ""},
		},
		{
			"a weight", `{"weight":3,"by":"eva","reason":"slow disk"}`,
			func(s *Server, body string) int { return ask(s, "PATCH", "/v1/hosts/ide-1", body).Code },
			map[string]any{
				"level": "info", "by": "eva", "from": nil, "to": nil, "from_weight": 1.0, "to_weight": "3", "reason": "slow disk",
				"message": "an operator changed a host's weight",
			},
		},
		{
			"both", `{"state":"ready","weight":null}`,
			func(s *Server, body string) int { return ask(s, "PATCH", "/v1/hosts/ide-1", body).Code },
			map[string]any{"to": "ready", "to_weight": "own", "message": "an operator changed a host's state and weight"},
		},
	} {
		var log bytes.Buffer
		if code := c.send(newServer(t, newRegion(), &log), c.body); code != http.StatusOK {
			t.Fatalf("%s: got %d", c.name, code)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
			t.Fatal(err)
		}
		if got["host"] != "ide-1" || got["remote"] == "" {
			t.Errorf("%s: got %v", c.name, got)
		}
		for field, want := range c.want {
			if got[field] != want {
				t.Errorf("%s: %s: got %v, want %v", c.name, field, got[field], want)
			}
		}
	}
}

func TestRefusedRequestsSayWhatWouldBeRight(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard) // none of these changes anything
	for _, c := range []struct {
		method, path, body string
		status             int
		detail             string // part of it
	}{
		{"GET", "/v1/hosts/nobody", "", 404, `no host is called "nobody"`},
		{"PATCH", "/v1/hosts/nobody", `{"state":"drain"}`, 404, `no host is called "nobody"`},
		{"PATCH", "/v1/hosts/ide-1", `{"state":"off"}`, 422, `"ready, drain, maint"`},
		{"PATCH", "/v1/hosts/ide-1", `{"state":"drain","max_moved":50}`, 422, "max_moved"},
		{"PATCH", "/v1/hosts/ide-1", `{"state":"drain","max_moved":-1}`, 422, "max_moved"},
		{"PATCH", "/v1/hosts/ide-1", `{"reason":"x"}`, 422, "a state, a weight, or both"},
		{"PATCH", "/v1/hosts/ide-1", `{"state":""}`, 422, `"ready, drain, maint"`},
		{"PATCH", "/v1/hosts/ide-1", `{"weight":257}`, 422, "256"},
		{"PATCH", "/v1/hosts/ide-1", `{"weight":-1}`, 422, "0"},
		{"PATCH", "/v1/hosts/ide-1", `{"weight":1.5}`, 422, "weight"},
		{"PATCH", "/v1/hosts/ide-1", `{"weight":"3"}`, 422, "weight"},
		{"PATCH", "/v1/hosts/nobody", `{"weight":3}`, 404, `no host is called "nobody"`},
		{"PATCH", "/v1/hosts/ide-1", `{"state":"drain","reason":"` + strings.Repeat("x", 201) + `"}`, 422, "200"},
		{"PATCH", "/v1/hosts/ide-1", ``, 400, "body"},
		{"PATCH", "/v1/hosts/ide-1", `{"state":`, 400, "body"},
		{"PATCH", "/v1/hosts/ide-1", `{"state":"drain","reason":"` + strings.Repeat("x", maxBody) + `"}`, 413, "65536"},
		{"POST", "/v1/hosts/ide-1", "{}", 405, "GET, HEAD, PATCH, PUT, DELETE"},
		{"POST", "/v1/status", "{}", 405, "GET, HEAD"},
		{"GET", "/v2/status", "", 404, "/v1/openapi.json"},
		{"POST", "/v1/explain", `{}`, 422, `{"token":"…"}`},
		{"POST", "/v1/explain", `{"token":""}`, 422, `{"token":"…"}`},
	} {
		w := ask(s, c.method, c.path, c.body)
		got := decode[fault](t, w, c.status)
		if got.Status != c.status || got.Title != http.StatusText(c.status) || !strings.Contains(got.Detail, c.detail) {
			t.Errorf("%s %s %.40s: got %+v, want %q in the detail", c.method, c.path, c.body, got, c.detail)
		}
		if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("%s %s %.40s: Content-Type %q", c.method, c.path, c.body, ct)
		}
	}
}

func TestAnOverrideThatFailsIsAnsweredAndLogged(t *testing.T) {
	var log bytes.Buffer
	r := newRegion()
	s := newServer(t, r, &log)
	r.refuse = errors.New("the override is in force but not on disk: disk full")
	if got := decode[fault](t, ask(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain"}`), 503); got.Detail != r.refuse.Error() {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(log.String(), `"level":"error"`) || !strings.Contains(log.String(), "disk full") {
		t.Errorf("log: %s", &log)
	}
	r.refuse = fmt.Errorf("%w: no room for the weight 9", route.ErrOverride)
	if got := decode[fault](t, ask(s, "PATCH", "/v1/hosts/ide-1", `{"weight":9}`), 422); !strings.Contains(got.Detail, "no room for the weight 9") {
		t.Errorf("got %+v", got)
	}
	r.refuse = route.ErrUnknownHost
	decode[fault](t, ask(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain"}`), 404)
}

func TestRingShowsShares(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	got := decode[ringBody](t, ask(s, "GET", "/v1/ring", ""), http.StatusOK)
	if got.Policy != "consistent" || got.Slots != 16381 || got.Parameters["partitions"] != 16381.0 || len(got.Digest) != 16 {
		t.Errorf("got %+v", got)
	}
	if *got.Agree || !got.Disagree.Equal(aDay) {
		t.Errorf("got agree %t, disagree since %v; lb-3 doesn't", *got.Agree, got.Disagree)
	}
	if len(got.Key) != 1 || !strings.Contains(got.Key[0], "token") {
		t.Errorf("key: got %q", got.Key)
	}
	sum := 0.0
	for _, share := range got.Shares {
		sum += share.Share
		if share.Fair < 0.33 || share.Fair > 0.34 || share.Ratio < 0.7 || share.Ratio > 1.3 {
			t.Errorf("got %+v", share)
		}
	}
	if len(got.Shares) != 3 || sum < 0.999 || sum > 1.001 {
		t.Errorf("%d shares add up to %f, want 3 and 1", len(got.Shares), sum)
	}
}

func TestTheAPIIsDescribed(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	doc := decode[struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Responses   map[string]any
		}
		Components struct {
			Schemas         map[string]any
			SecuritySchemes map[string]any
		}
	}](t, ask(s, "GET", "/v1/openapi.json", ""), http.StatusOK)
	if doc.OpenAPI != "3.1.0" || doc.Components.SecuritySchemes["token"] == nil {
		t.Errorf("got version %q, security %v", doc.OpenAPI, doc.Components.SecuritySchemes)
	}
	seen := map[string]bool{}
	for _, p := range append(slices.Clone(paths[:10]), []struct{ method, path, body string }{
		{"GET", "/healthz", ""}, {"GET", "/readyz", ""}, {"GET", "/events", ""},
	}...) {
		path := strings.Replace(p.path, "ide-1", "{name}", 1)
		op := doc.Paths[path][strings.ToLower(p.method)]
		if op.OperationID == "" || seen[op.OperationID] || op.Responses["200"] == nil {
			t.Errorf("%s %s: described as %+v", p.method, path, op)
		}
		seen[op.OperationID] = true
	}
	text := ask(s, "GET", "/v1/openapi.json", "").Body.String()
	for _, ref := range strings.Split(text, `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(ref, `"`)
		if doc.Components.Schemas[name] == nil {
			t.Errorf("the schema %s is referred to but missing", name)
		}
	}
	if w := ask(s, "GET", "/v1/openapi.yaml", ""); !strings.Contains(w.Body.String(), "openapi: 3.1.0") {
		t.Errorf("YAML: got %d %.100s", w.Code, w.Body)
	}
}

func TestReadinessSaysWhy(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	s.deps.Ready = func() error { return errors.New("hosts aren't checked yet") }
	w := send(s, "GET", "/readyz", "")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "hosts aren't checked yet") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := send(s, "GET", "/healthz", ""); w.Code != http.StatusOK {
		t.Errorf("healthz while not ready: got %d", w.Code)
	}
	if got := decode[statusBody](t, ask(s, "GET", "/v1/status", ""), 200); got.Ready || got.NotReady != "hosts aren't checked yet" {
		t.Errorf("status: got ready %t, %q", got.Ready, got.NotReady)
	}
}

func TestNewRefusesWhatCantWork(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	for name, spoil := range map[string]func(*Deps){
		"region":  func(d *Deps) { d.Region = nil },
		"metrics": func(d *Deps) { d.Metrics = nil },
		"token":   func(d *Deps) { d.Token = "" },
	} {
		d := s.deps
		spoil(&d)
		if _, err := New(d); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: got error %v", name, err)
		}
	}
}

// TestFieldsInAnotherLetterCaseAreRefused: what is decoded must be what was
// checked.
func TestFieldsInAnotherLetterCaseAreRefused(t *testing.T) {
	for _, row := range []struct{ method, path, body string }{
		{"PATCH", "/v1/hosts/ide-1", `{"state":"ready","State":"maint","max_moved":1}`},
		{"PATCH", "/v1/hosts/ide-1", `{"state":"drain","max_moved":0.1,"Max_Moved":1}`},
		{"PATCH", "/v1/hosts/ide-1", `{"weight":1,"Weight":2.7}`},
		{"POST", "/v1/explain", `{"token":"a","Token":""}`},
		{"POST", "/v1/whatif", `{"Leave":["ide-1"]}`},
	} {
		r := newRegion()
		if w := ask(newServer(t, r, io.Discard), row.method, row.path, row.body); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: got %d %s", row.body, w.Code, w.Body)
		}
		if r.override.Load() != nil {
			t.Errorf("%s: there was an override", row.body)
		}
	}
}
