package admin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/route"
)

// keyOf returns a key that the host owns.
func keyOf(t *testing.T, snap *route.Snapshot, host string) []byte {
	t.Helper()
	for i := range 10000 {
		key := fmt.Appendf(nil, "key-%d", i)
		if o := snap.Table.Owner(key); o >= 0 && snap.Table.Hosts()[o].Name == host {
			return key
		}
	}
	t.Fatalf("no key found that %s owns", host)
	return nil
}

func TestExplain(t *testing.T) {
	frozen := func(s *route.Snapshot) { s.Frozen = true }
	for _, c := range []struct {
		name   string
		owner  string
		live   sessionBody
		how    func(*route.Snapshot)
		rule   string
		host   string // "": any but the owner; "-": none
		reason string // part of it
	}{
		{"the owner serves", "ide-1", sessionBody{}, nil, "owner", "ide-1", "ide-1 owns slot"},
		{"the owner is down", "ide-3", sessionBody{}, nil, "fallback", "", "can't serve: its checks fail: connection refused"},
		{"a live session elsewhere", "ide-1", sessionBody{"ide-2", 1}, nil, "session", "ide-2", "ide-1 would own"},
		{"a live session on a draining host", "ide-1", sessionBody{"ide-4", 2}, nil, "session", "ide-4", "ide-1 would own"},
		{"a live session on a host that is down", "ide-1", sessionBody{"ide-3", 1}, nil, "owner", "ide-1", "serves"},
		{"a session that has ended", "ide-1", sessionBody{"ide-2", 0}, nil, "owner", "ide-1", "serves"},
		{"frozen, the owner vanished", "ide-3", sessionBody{}, frozen, "frozen", "-", "among the hosts that vanished"},
		{"frozen, the owner serves", "ide-2", sessionBody{}, frozen, "owner", "ide-2", "serves"},
	} {
		snap := newRegion().Snapshot()
		if c.how != nil {
			c.how(snap)
		}
		got := explainKey(snap, keyOf(t, snap, c.owner), c.live, nil, route.Placement{})
		if got.Owner != c.owner || got.Rule != c.rule || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: got owner %s, rule %s, reason %q", c.name, got.Owner, got.Rule, got.Reason)
		}
		switch c.host {
		case "":
			if got.Host == "" || got.Host == c.owner || got.Host != got.Candidates[1].Host && snap.Host(got.Candidates[1].Host).Serving() {
				t.Errorf("%s: got host %s, candidates %+v", c.name, got.Host, got.Candidates)
			}
		case "-":
			if got.Host != "" {
				t.Errorf("%s: got host %s, want none", c.name, got.Host)
			}
		default:
			if got.Host != c.host {
				t.Errorf("%s: got host %s, want %s", c.name, got.Host, c.host)
			}
		}
	}
}

func TestExplainListsEveryHostAndWhyItIsntChosen(t *testing.T) {
	snap := newRegion().Snapshot()
	got := explainKey(snap, keyOf(t, snap, "ide-3"), sessionBody{}, nil, route.Placement{}).Candidates
	if len(got) != 4 || got[0].Host != "ide-3" || got[0].Role != "owner" || got[1].Role != "successor" || got[2].Role != "fallback" || got[3].Role != "outside" {
		t.Fatalf("got %+v", got)
	}
	chosen := 0
	for _, c := range got {
		if c.Chosen {
			chosen++
		}
		if c.Chosen == (c.WhyNot != "") {
			t.Errorf("%s: chosen %t, why not %q", c.Host, c.Chosen, c.WhyNot)
		}
	}
	if chosen != 1 || got[3].WhyNot != route.WhyDrain {
		t.Errorf("%d are chosen; the host outside: %+v", chosen, got[3])
	}
}

func TestExplainWithoutHosts(t *testing.T) {
	r := new(fakeRegion)
	r.put(nil, func(*route.Snapshot) {})
	got := explainKey(r.Snapshot(), []byte("alice"), sessionBody{}, nil, route.Placement{})
	if got.Rule != "none" || got.Slot != -1 || got.Host != "" || !strings.Contains(got.Reason, "No hosts") {
		t.Errorf("got %+v", got)
	}
}

func TestExplainAsksForTheLiveSession(t *testing.T) {
	s := newServer(t, newRegion(), new(bytes.Buffer))
	s.deps.Sessions = func(key balancer.Digest) (string, int) {
		if key != s.deps.Digester.Digest([]byte("alice")) {
			t.Errorf("asked for %s", key)
		}
		return "ide-2", 3
	}
	got := decode[explainBody](t, ask(s, "POST", "/v1/explain", `{"token":"alice"}`), http.StatusOK)
	if got.Policy != "consistent" || got.SlotShare != 1.0/16381 || got.Point != nil {
		t.Errorf("got policy %s, a slot of %v, point %v", got.Policy, got.SlotShare, got.Point)
	}
	if got.Rule != "session" || got.Session == nil || *got.Session != (sessionBody{"ide-2", 3}) || len(got.TokenDigest) != 12 {
		t.Errorf("got %+v", got)
	}
}

func TestExplainMentionsACookieThatComesBeforeTheTable(t *testing.T) {
	s := newServer(t, newRegion(), new(bytes.Buffer))
	s.deps.Cookie = "lb"
	got := decode[explainBody](t, ask(s, "POST", "/v1/explain", `{"token":"alice"}`), http.StatusOK)
	if !strings.Contains(got.Reason, "cookie lb") {
		t.Errorf("without a session: %q", got.Reason)
	}
	for host, want := range map[string]bool{"ide-2": false, "ide-3": true} { // ide-3 is down
		s.deps.Sessions = func(balancer.Digest) (string, int) { return host, 1 }
		got = decode[explainBody](t, ask(s, "POST", "/v1/explain", `{"token":"alice"}`), http.StatusOK)
		if strings.Contains(got.Reason, "cookie") != want {
			t.Errorf("with a session on %s, which goes before the cookie if it holds: %q", host, got.Reason)
		}
	}
}

// TestATokenThatJSONCantCarryIsRefused: what arrives is another one, which goes
// elsewhere.
func TestATokenThatJSONCantCarryIsRefused(t *testing.T) {
	s := newServer(t, newRegion(), new(bytes.Buffer))
	for token, status := range map[string]int{
		"ab\xff": 422, `ab\ud800`: 422, "ab\ufffd": 422,
		`%ff`: 200, "ä😀": 200, `\ud83d\ude00`: 200, `\u0000`: 200,
	} {
		w := ask(s, "POST", "/v1/explain", `{"token":"`+token+`"}`)
		if w.Code != status || status == 422 && !strings.Contains(w.Body.String(), "UTF-8") {
			t.Errorf("%q: got %d %s, want %d", token, w.Code, w.Body, status)
		}
	}
	got := decode[fault](t, ask(s, "POST", "/v1/explain", `{"token":"`+strings.Repeat("x", 16385)+`"}`), 422)
	if !strings.Contains(got.Detail, "1 to 16384 characters") {
		t.Errorf("too long: got %q", got.Detail)
	}
}

// Whatever is wrong with a request to explain, its token comes back in no
// answer and no log.
func TestNoAnswerRepeatsTheToken(t *testing.T) {
	const marked = "SECRET1234567890"
	region := newRegion()
	for _, c := range []struct {
		name, body string
		fields     []string
	}{
		{"a good one", `{"token":"` + marked + `"}`, nil},
		{"cut off", `{"token":"` + marked, nil},
		{"bare", marked, nil},
		{"a bare string", `"` + marked + `"`, nil},
		{"a list", `["` + marked + `"]`, nil},
		{"a token in a list", `{"token":["` + marked + `"]}`, nil},
		{"a token in an object", `{"token":{"` + marked + `":1}}`, nil},
		{"a number", `{"token":1234567890}`, nil},
		{"a huge number", `{"token":1234567890e999}`, nil},
		{"a name of a property", `{"` + marked + `":1}`, nil},
		{"an extra property", `{"token":"x","` + marked + `":"` + marked + `"}`, nil},
		{"a property in upper case", `{"TOKENS":"` + marked + `"}`, nil},
		{"too long", `{"token":"` + strings.Repeat(marked, 2000) + `"}`, nil},
		{"far too long", `{"token":"` + strings.Repeat(marked, 10000) + `"}`, nil},
		{"of another type", `{"token":"` + marked + `"}`, []string{"Content-Type", "application/cbor"}},
		{"of a type that is the token", `{}`, []string{"Content-Type", marked}},
		{"as a form", `token=` + marked, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"not UTF-8", `{"token":"` + marked + "\xff" + `"}`, nil},
		{"wanted as the token", `{"token":"` + marked + `"}`, []string{"Accept", marked}},
		{"by a wrong bearer", `{"token":"` + marked + `"}`, []string{"Authorization", "Bearer " + marked}},
	} {
		var log bytes.Buffer
		s := newServer(t, region, &log)
		fields := append([]string{"Authorization", "Bearer " + adminToken, "Content-Type", "application/json"}, c.fields...)
		w := send(s, "POST", "/v1/explain", c.body, fields...)
		out := fmt.Sprint(w.Body, w.Header(), &log)
		if strings.Contains(out, "SECRET") || strings.Contains(out, "1234567890") {
			t.Errorf("%s: %d %s", c.name, w.Code, out)
		}
		if (w.Code == http.StatusOK) != (c.name == "a good one" || c.name == "wanted as the token") {
			t.Errorf("%s: got %d %s", c.name, w.Code, w.Body)
		}
	}
}

// TestExplainNamesTheHostThatWouldOwnTheToken: whoever asks why a user isn't on the host in
// drain wants to hear of the drain.
func TestExplainNamesTheHostThatWouldOwnTheToken(t *testing.T) {
	r := newRegion() // ide-4 drains
	s := newServer(t, r, io.Discard)
	explain := func(key string) explainBody {
		return decode[explainBody](t, ask(s, "POST", "/v1/explain", `{"token":"`+key+`"}`), http.StatusOK)
	}
	drained := map[string]explainBody{}
	for i := range 200 {
		key := fmt.Sprintf("key-%d", i)
		drained[key] = explain(key)
	}
	r.change("ide-4", func(h *route.Host) { h.State = route.Ready })
	named := 0
	for key, before := range drained {
		after, want := explain(key), ""
		if after.Owner == "ide-4" {
			want = "ide-4"
			named++
		}
		if before.WouldOwn != want || strings.Contains(before.Reason, "ide-4 would own the token, but isn't in the ring: "+route.WhyDrain) != (want != "") {
			t.Fatalf("%s: got %q, %q; in the ring, ide-4 makes its owner %s", key, before.WouldOwn, before.Reason, after.Owner)
		}
		if after.WouldOwn != "" {
			t.Fatalf("%s: %s would own it, and all are in the ring", key, after.WouldOwn)
		}
	}
	if named == 0 {
		t.Error("no key of ide-4")
	}
}
