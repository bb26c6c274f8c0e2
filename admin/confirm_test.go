package admin

import (
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/route"
	"tokenring/session"
)

func TestTargetSaysHowTheRingChanges(t *testing.T) {
	in := route.Host{Spec: route.Spec{Name: "a", ID: 7, Weight: 2}, AdminState: route.AdminState{State: route.Ready}, Standing: route.Standing{InRing: true}}
	drained, leaving := in, in
	drained.State, drained.InRing = route.Drain, false
	leaving.Leaving, leaving.InRing = true, false
	leave := balancer.Change{Leave: []string{"a"}}
	for _, row := range []struct {
		name   string
		host   route.Host
		target target
		want   balancer.Change
	}{
		{"ready, and it is", in, target{route.Ready, 2}, balancer.Change{}},
		{"drain", in, target{route.Drain, 2}, leave},
		{"maint", in, target{route.Maint, 2}, leave},
		{"weight 0", in, target{route.Ready, 0}, leave},
		{"another weight", in, target{route.Ready, 3}, balancer.Change{Weights: map[string]int{"a": 3}}},
		{"drain, with another weight", in, target{route.Drain, 3}, leave},
		{"maint for one that drains", drained, target{route.Maint, 2}, balancer.Change{}},
		{"back", drained, target{route.Ready, 2}, balancer.Change{Join: []balancer.Host{{Name: "a", ID: 7, Weight: 2}}}},
		{"back without weight", drained, target{route.Ready, 0}, balancer.Change{}},
		{"ready for one that leaves", leaving, target{route.Ready, 2}, balancer.Change{}},
	} {
		if diff := cmp.Diff(row.want, row.target.change(&row.host)); diff != "" {
			t.Errorf("%s: -want +got\n%s", row.name, diff)
		}
	}
}

func TestTargetKeepsWhatTheOverrideLeavesOut(t *testing.T) {
	h := &route.Host{Spec: route.Spec{Weight: 4}, AdminState: route.AdminState{State: route.Drain}, Weights: route.Weights{Announced: 9, Counted: 2}}
	weight := func(n int) *int { return &n }
	for _, row := range []struct {
		override route.Override
		want     target
	}{
		{route.Override{State: route.Ready}, target{route.Ready, 4}},
		{route.Override{Weight: weight(0)}, target{route.Drain, 0}},
		{route.Override{Weight: weight(7)}, target{route.Drain, 7}},
		{route.Override{Weight: weight(route.OwnWeight)}, target{route.Drain, 2}},
		{route.Override{State: route.Maint, Weight: weight(1)}, target{route.Maint, 1}},
	} {
		if got := targetOf(row.override, h); got != row.want {
			t.Errorf("%+v: got %+v, want %+v", row.override, got, row.want)
		}
	}
}

func TestOverridesThatMoveTooMuchAreRefused(t *testing.T) {
	for _, row := range []struct {
		name, host, body string
		status           int
	}{
		{"no bound", "ide-1", `{"state":"drain"}`, 200},
		{"more than the bound", "ide-1", `{"state":"drain","max_moved":0.2}`, 409},
		{"maint as well", "ide-1", `{"state":"maint","max_moved":0.2}`, 409},
		{"less than the bound", "ide-1", `{"state":"drain","max_moved":0.6}`, 200},
		{"any", "ide-1", `{"state":"drain","max_moved":1}`, 200},
		{"none", "ide-1", `{"state":"drain","max_moved":0}`, 409},
		{"none, and none moves", "ide-1", `{"state":"ready","max_moved":0}`, 200},
		{"none, and the host is out already", "ide-4", `{"state":"maint","max_moved":0}`, 200},
		{"a weight that moves too much", "ide-1", `{"weight":9,"max_moved":0.2}`, 409},
		{"a weight that moves less", "ide-1", `{"weight":2,"max_moved":0.5}`, 200},
		{"no weight", "ide-1", `{"weight":0,"max_moved":0.2}`, 409},
		{"back into the ring", "ide-4", `{"state":"ready","max_moved":0.1}`, 409},
		{"a weight", "ide-1", `{"weight":9,"max_moved":0.1}`, 409},
		{"a weight, within the bound", "ide-1", `{"weight":2,"max_moved":0.3}`, 200},
		{"its own weight, which it has", "ide-1", `{"weight":null,"max_moved":0}`, 200},
		{"no weight", "ide-1", `{"weight":0,"max_moved":0.1}`, 409},
		{"a weight outside the ring", "ide-4", `{"weight":9,"max_moved":0}`, 200},
		{"a weight, and back into the ring", "ide-4", `{"state":"ready","weight":9,"max_moved":0.5}`, 409},
		{"no weight, and back", "ide-4", `{"state":"ready","weight":0,"max_moved":0}`, 200},
	} {
		r := newRegion()
		s := newServer(t, r, io.Discard)
		if w := ask(s, "PATCH", "/v1/hosts/"+row.host, row.body); w.Code != row.status {
			t.Errorf("%s: got %d %s, want %d", row.name, w.Code, w.Body, row.status)
		}
		if done := r.override.Load() != nil; done != (row.status == 200) {
			t.Errorf("%s: answered %d, override in force: %t", row.name, row.status, done)
		}
	}
}

func TestARefusalSaysWhatWouldMoveAndHowToContinue(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	s.deps.Live = func() []session.Session { return liveOf(r.Snapshot().Table, 100) }
	w := ask(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain","max_moved":0.25}`)
	got := decode[tooMuch](t, w, http.StatusConflict)
	want := whatIf(t, r, liveOf(r.Snapshot().Table, 100), `{"leave":["ide-1"]}`)
	if got.Moved != want.Moved || got.MaxMoved != 0.25 || got.Sessions != 200 || got.SessionsMoved != want.SessionsMoved || !got.SessionsExact {
		t.Errorf("got %+v; the same as a question: %+v", got, want)
	}
	for _, part := range []string{"nothing was changed", "ide-1", "max_moved allows 25.0 %", "200 terminals", "/v1/whatif", "without max_moved"} {
		if !strings.Contains(got.Detail, part) {
			t.Errorf("got %q, want %q in it", got.Detail, part)
		}
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" || got.Status != 409 || got.Title != "Conflict" {
		t.Errorf("got %s, %d, %q", ct, got.Status, got.Title)
	}
}

// TestARefusalIsDescribedAsItIs: clients that are made from the description read it.
func TestARefusalIsDescribedAsItIs(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	doc := decode[struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					}
				}
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}](t, ask(s, "GET", "/v1/openapi.json", ""), http.StatusOK)
	patch := doc.Paths["/v1/hosts/{name}"]["patch"].Responses
	_, name, _ := strings.Cut(patch["409"].Content["application/problem+json"].Schema.Ref, "schemas/")
	described := doc.Components.Schemas[name].Properties
	got := decode[map[string]any](t, ask(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain","max_moved":0}`), http.StatusConflict)
	for member := range got {
		if described[member] == nil {
			t.Errorf("%s isn't in the schema %q", member, name)
		}
	}
	for _, status := range []string{"400", "401", "403", "404", "413", "415", "422", "503"} {
		if _, ok := patch[status]; !ok {
			t.Errorf("%s isn't described", status)
		}
	}
}

// TestOverridesAtTheSameTimeAreCheckedOneAfterTheOther: each by the ring that those
// before it have left. Together they would take all hosts away.
func TestOverridesAtTheSameTimeAreCheckedOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion() // three hosts are in the ring
		s := newServer(t, slowRegion{r, time.Second}, io.Discard)
		codes := make(chan int, 3)
		for _, host := range []string{"ide-1", "ide-2", "ide-3"} {
			go func() { codes <- ask(s, "PATCH", "/v1/hosts/"+host, `{"state":"drain","max_moved":0.9}`).Code }()
		}
		count := map[int]int{}
		for range cap(codes) {
			count[<-codes]++
		}
		if left := len(r.Snapshot().Table.Hosts()); count[200] != 2 || count[409] != 1 || left != 1 {
			t.Errorf("answers %v, and %d hosts are left", count, left)
		}
	})
}

// TestAnOverrideWithoutALimitDoesntWait: no ring is computed for that.
func TestAnOverrideWithoutALimitDoesntWait(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	s.forecaster.turn <- struct{}{} // somebody builds, and never ends
	if w := ask(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain","max_moved":1}`); w.Code != http.StatusOK {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// TestAllMovesIsNotMoreThanAll: sums of fractions come to a bit more than 1.
func TestAllMovesIsNotMoreThanAll(t *testing.T) {
	all := forecast{Movement: balancer.Movement{Moved: math.Nextafter(1, 2)}}
	if all.beyond(1) || !all.beyond(0.9999) {
		t.Errorf("beyond 1: %t, beyond 0.9999: %t", all.beyond(1), all.beyond(0.9999))
	}
}
