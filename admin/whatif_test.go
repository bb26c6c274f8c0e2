package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/route"
	"tokenring/session"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// whatIf asks a server with these live sessions.
func whatIf(t *testing.T, r Region, live []session.Session, body string) whatifBody {
	t.Helper()
	s := newServer(t, r, io.Discard)
	s.deps.Live = func() []session.Session { return live }
	s.deps.ConfirmShare = 0.5
	return decode[whatifBody](t, ask(s, "POST", "/v1/whatif", body), http.StatusOK)
}

// liveOf returns one session with two terminals for each of n keys, on the host
// that owns it.
func liveOf(table *balancer.Table, n int) []session.Session {
	var live []session.Session
	for i := range n {
		hash := table.Hash(fmt.Appendf(nil, "key-%d", i))
		live = append(live, session.Session{Host: ownerOf(table, hash), Hash: hash, Keyed: true, Tunnels: 2})
	}
	return live
}

func TestWhatIfAHostLeaves(t *testing.T) {
	r := newRegion()
	snap := r.Snapshot()
	live := liveOf(snap.Table, 300)
	got := whatIf(t, r, live, `{"leave":["ide-2"]}`)
	lost := snap.Host("ide-2").Share
	if got.Method != "exact" || got.Moved < lost || got.Moved > lost+0.1 || !near(got.Ideal, 1.0/3) || !near(got.Astray, got.Moved-lost) {
		t.Errorf("got %s, moved %v, ideal %v, astray %v; want %v and what strays", got.Method, got.Moved, got.Ideal, got.Astray, lost)
	}
	if got.Before.Digest != snap.Table.Digest() || got.After.Digest == got.Before.Digest || len(got.Before.Hosts) != 3 || len(got.After.Hosts) != 2 {
		t.Errorf("before %+v, after %+v", got.Before, got.After)
	}
	sum, terminals := 0.0, 0
	for _, route := range got.Routes {
		sum, terminals = sum+route.Share, terminals+route.Sessions
	}
	if !near(sum, got.Moved) || terminals != got.SessionsMoved || got.RoutesLeftOut != 0 || got.Routes[0].From != "ide-2" {
		t.Errorf("the routes are %v, and moved %v with %d terminals", got.Routes, got.Moved, got.SessionsMoved)
	}
	if got.Sessions != 600 || !got.SessionsExact || got.NeedsConfirmation || got.ConfirmShare != 0.5 {
		t.Errorf("got %+v", got)
	}
}

// TestTerminalsAreCounted compares the numbers with the tokens themselves.
func TestTerminalsAreCounted(t *testing.T) {
	r := newRegion()
	before := r.Snapshot().Table
	got := whatIf(t, r, liveOf(before, 300), `{"weights":{"ide-1":3}}`)
	r.change("ide-1", func(h *route.Host) { h.Weight = 3 })
	after := r.Snapshot().Table
	if got.After.Digest != after.Digest() {
		t.Fatalf("asked about the ring %s, the change makes %s", got.After.Digest, after.Digest())
	}
	moved, routes := 0, map[move]int{}
	for i := range 300 {
		hash := before.Hash(fmt.Appendf(nil, "key-%d", i))
		if w := (move{ownerOf(before, hash), ownerOf(after, hash)}); w.from != w.to {
			moved += 2
			routes[w] += 2
		}
	}
	if got.SessionsMoved != moved || moved == 0 {
		t.Errorf("got %d terminals moved, want %d", got.SessionsMoved, moved)
	}
	for _, route := range got.Routes {
		if want := routes[move{route.From, route.To}]; route.Sessions != want {
			t.Errorf("%s to %s: got %d terminals, want %d", route.From, route.To, route.Sessions, want)
		}
	}
	if got.After.Hosts[0].Host != "ide-1" || got.After.Hosts[0].Weight != 3 || got.After.Hosts[0].Sessions <= got.Before.Hosts[0].Sessions {
		t.Errorf("ide-1 before %+v, after %+v", got.Before.Hosts[0], got.After.Hosts[0])
	}
}

func TestWhatIfAnotherPolicy(t *testing.T) {
	r := newRegion()
	live := liveOf(r.Snapshot().Table, 300)
	got := whatIf(t, r, live, `{"policy":"rendezvous"}`)
	if got.Method != "exact" || !got.SessionsExact || got.After.Policy != "rendezvous" || got.After.Slots != 65536 || got.Before.Policy != "consistent" {
		t.Errorf("rendezvous: %+v", got)
	}
	got = whatIf(t, r, live, `{"policy":"ketama"}`)
	if got.Method != "independent" || got.SessionsExact || !got.NeedsConfirmation {
		t.Errorf("ketama, which hashes otherwise: %+v", got)
	}
	if ratio := float64(got.SessionsMoved) / 600; math.Abs(ratio-got.Moved) > 0.1 {
		t.Errorf("%d of 600 terminals are expected to move, and %.2f of the tokens", got.SessionsMoved, got.Moved)
	}
}

// TestWhatIfNoHostIsInTheRing: terminals that are still connected are counted, since
// the table that would be hashes their keys as the one did that placed them.
func TestWhatIfNoHostIsInTheRing(t *testing.T) {
	r := newRegion()
	live := liveOf(r.Snapshot().Table, 300)
	for _, name := range []string{"ide-1", "ide-2", "ide-3"} {
		r.change(name, func(h *route.Host) { h.State = route.Drain })
	}
	got := whatIf(t, r, live, `{"join":[{"name":"ide-1"},{"name":"ide-2"},{"name":"ide-3"}]}`)
	if got.Method != "exact" || got.Moved != 1 || !got.SessionsExact || got.SessionsMoved != 0 {
		t.Errorf("back as it was: got %s, moved %v, %d terminals, exact %t", got.Method, got.Moved, got.SessionsMoved, got.SessionsExact)
	}
	got = whatIf(t, r, live, `{"join":[{"name":"ide-1"}],"policy":"ketama"}`)
	if got.Method != "exact" || got.SessionsExact {
		t.Errorf("by another hash: got %s, exact %t", got.Method, got.SessionsExact)
	}
}

func TestWhatIfAHostComes(t *testing.T) {
	r := newRegion() // ide-4 drains
	for body, want := range map[string]tableHostBody{
		`{"join":[{"name":"ide-9"}]}`:                   {Host: "ide-9", Weight: 1},
		`{"join":[{"name":"ide-9","weight":2,"id":9}]}`: {Host: "ide-9", Weight: 2},
		`{"join":[{"name":"ide-4"}]}`:                   {Host: "ide-4", Weight: 1},
		`{"join":[{"name":"ide-4","weight":16}]}`:       {Host: "ide-4", Weight: 16},
	} {
		got := whatIf(t, r, nil, body)
		last := got.After.Hosts[len(got.After.Hosts)-1]
		if last.Host != want.Host || last.Weight != want.Weight || got.Moved < last.Share-1e-9 {
			t.Errorf("%s: the newcomer is %+v, want %+v; moved %v", body, last, want, got.Moved)
		}
	}
}

// TestWhatIfAHostComesThatAnOperatorLeftWithoutKeys: it has its own weight then.
func TestWhatIfAHostComesThatAnOperatorLeftWithoutKeys(t *testing.T) {
	r := newRegion()
	r.change("ide-2", func(h *route.Host) { h.Weight, h.Announced, h.Counted = 0, 3, 3 })
	got := whatIf(t, r, nil, `{"join":[{"name":"ide-2"}]}`)
	if joined := got.After.Hosts[1]; joined.Host != "ide-2" || joined.Weight != 3 {
		t.Errorf("got %+v, want the weight that it announces", joined)
	}
}

func TestWhatIfNoHostIsLeft(t *testing.T) {
	r := newRegion()
	got := whatIf(t, r, liveOf(r.Snapshot().Table, 10), `{"leave":["ide-1","ide-2","ide-3"]}`)
	if !near(got.Moved, 1) || got.SessionsMoved != 20 || !got.SessionsExact || got.Routes[0].To != "" || len(got.After.Hosts) != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestSmallRoutesAreLeftOut: between 40 hosts there are 40×39 of them.
func TestSmallRoutesAreLeftOut(t *testing.T) {
	r := new(fakeRegion)
	var hosts []*route.Host
	for i := range 40 {
		hosts = append(hosts, fakeHost(i))
	}
	r.put(hosts, func(*route.Snapshot) {})
	got := whatIf(t, r, nil, `{"policy":"ketama"}`)
	if len(got.Routes) != maxRoutes || got.RoutesLeftOut != 40*39-maxRoutes {
		t.Errorf("got %d routes, %d left out", len(got.Routes), got.RoutesLeftOut)
	}
	for i := 1; i < len(got.Routes); i++ {
		if got.Routes[i].Share > got.Routes[i-1].Share {
			t.Fatalf("route %d is larger than the one before it", i)
		}
	}
}

func TestQuestionsThatCantBeAnsweredSayWhy(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	for body, detail := range map[string]string{
		`{}`:                                                    "name hosts in leave, join or weights, or a policy",
		`{"leave":[]}`:                                          "nothing would change",
		`{"leave":["ide-9"]}`:                                   `no host is called "ide-9"; GET /v1/hosts`,
		`{"leave":["ide-4"]}`:                                   `host "ide-4" isn't in the ring now (draining)`,
		`{"weights":{"ide-4":2}}`:                               `host "ide-4" isn't in the ring now (draining)`,
		`{"leave":["ide-1","ide-1"]}`:                           `host "ide-1" is there twice`,
		`{"join":[{"name":"ide-1"}]}`:                           `host "ide-1" can't join: it is in the ring already`,
		`{"join":[{"name":"a#b"}]}`:                             `must begin with a letter`,
		`{"join":[{}]}`:                                         `name`,
		`{"weights":{"ide-1":257}}`:                             `weight 257 is not in 0..256`,
		`{"weights":{"ide-1":-1}}`:                              `weight -1 is not in 0..256`,
		`{"weights":{"ide-1":1.5}}`:                             `integer`,
		`{"policy":"ringo"}`:                                    `consistent`,
		`{"leave":"ide-1"}`:                                     `array`,
		`{"level":["ide-1"]}`:                                   `level`,
		`{"join":[{"name":"ide-1","w":1}]}`:                     `w`,
		`{"join":[{"name":"ide-8","weight":0}]}`:                `>= 1`,
		`{"join":[{"name":"ide-8"}],"policy":"haproxy"}`:        `ide-8`,
		`{"leave":["ide-1"],"weights":{"ide-1":2}}`:             `host "ide-1" is there twice`,
		`{"join":[{"name":"ide-8"},{"name":"ide-8"}]}`:          `host "ide-8" is there twice`,
		`{"join":[{"name":"ide-8","id":1}],"policy":"haproxy"}`: `ide-8`,
		`{"weights":{"ide-1":256,"ide-2":256,"ide-3":256},"policy":"ringo"}`:      `consistent`,
		`{"leave":["` + strings.Repeat("x", 100) + `"]}`:                          `no host is called`,
		`{"join":[{"name":"` + strings.Repeat("x", 65) + `"}],"leave":["ide-1"]}`: `at most 64`,
	} {
		got := decode[fault](t, ask(s, "POST", "/v1/whatif", body), http.StatusUnprocessableEntity)
		if !strings.Contains(got.Detail, detail) {
			t.Errorf("%s: got %q, want %q in it", body, got.Detail, detail)
		}
	}
	r := newRegion()
	s = newServer(t, r, io.Discard)
	s.deps.Hash = balancer.Config{Seed: "0123456789abcdef"}
	if got := decode[fault](t, ask(s, "POST", "/v1/whatif", `{"policy":"haproxy"}`), 422); !strings.Contains(got.Detail, "can't have a seed") || strings.Contains(got.Detail, "0123") {
		t.Errorf("a policy that can't have the configured seed: got %q", got.Detail)
	}
}

// TestWhatIfIsEncodedAsDescribed: scripts and the dashboard read these names.
func TestWhatIfIsEncodedAsDescribed(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	got := decode[map[string]any](t, ask(s, "POST", "/v1/whatif", `{"leave":["ide-2"]}`), http.StatusOK)
	want := []string{
		"after", "astray", "before", "confirm_share", "ideal", "method", "moved", "needs_confirmation",
		"routes", "routes_left_out", "sessions", "sessions_astray", "sessions_exact", "sessions_moved",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	text, err := json.Marshal([]any{got["before"].(map[string]any)["hosts"].([]any)[0], got["routes"].([]any)[0]})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"host"`, `"weight"`, `"share"`, `"sessions"`, `"from"`, `"to"`} {
		if !strings.Contains(string(text), name) {
			t.Errorf("%s is missing in %s", name, text)
		}
	}
}
