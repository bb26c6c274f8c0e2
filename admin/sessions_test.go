package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/session"
)

// A fakeTerminals answers with what it is told, and remembers what it was asked.
type fakeTerminals struct {
	asked   session.Selection
	listing session.Listing
	ending  session.Ending
}

func (f *fakeTerminals) Terminals(_ context.Context, sel session.Selection) session.Listing {
	f.asked = sel
	return f.listing
}

func (f *fakeTerminals) EndTerminals(_ context.Context, sel session.Selection) session.Ending {
	f.asked = sel
	return f.ending
}

func newTerminals(t *testing.T, log io.Writer) (*Server, *fakeTerminals) {
	t.Helper()
	s := newServer(t, newRegion(), log)
	f := new(fakeTerminals)
	s.deps.Terminals = f
	return s, f
}

func TestTerminalsAreListed(t *testing.T) {
	s, f := newTerminals(t, io.Discard)
	opened := time.Now().Add(-time.Hour)
	f.listing = session.Listing{
		Page: session.Page{Total: 3, Terminals: []session.Listed{{
			Digest: balancer.Digest{0xab, 1}, Host: "ide-1", Balancer: "lb-1", Generation: 2,
			Detail: session.Detail{Opened: opened, Idle: 90 * time.Second, Received: 5, Sent: 7, Client: "192.0.2.0/24"},
		}}},
		Missing: []session.Missing{{Balancer: "lb-1", Generation: 1, Why: "no answer"}},
	}
	w := ask(s, http.MethodGet, "/v1/sessions?host=ide-1&balancer=lb-1&idle=1m30s&limit=7&key=ab0100000000&key=ab0100000001", "")
	want := session.Selection{Host: "ide-1", Balancer: "lb-1", Idle: 90 * time.Second, Limit: 7, Keys: []string{"ab0100000000", "ab0100000001"}}
	if diff := cmp.Diff(want, f.asked); w.Code != http.StatusOK || diff != "" {
		t.Fatalf("got %d %s; asked (-want +got):\n%s", w.Code, w.Body, diff)
	}
	var got sessionsBody
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Sessions) != 1 {
		t.Fatalf("got %s, %v", w.Body, err)
	}
	if age := got.Sessions[0].Age; age < 3599 || age > 3700 {
		t.Errorf("its age is %v s, want an hour", age)
	}
	got.Sessions[0].Age = 0
	body := sessionsBody{
		Sessions: []terminalBody{{
			Key: "ab0100000000", Digest: "ab010000000000000000000000000000", Host: "ide-1", Balancer: "lb-1", Generation: 2,
			OpenedAt: opened.UTC(), Idle: 90, In: 5, Out: 7, Client: "192.0.2.0/24",
		}},
		Total: 3, Missing: []missingBody{{Balancer: "lb-1", Generation: 1, Why: "no answer"}},
	}
	if diff := cmp.Diff(body, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNothingIsListedAsNothing: as empty lists, which clients can count.
func TestNothingIsListedAsNothing(t *testing.T) {
	s, f := newTerminals(t, io.Discard)
	w := ask(s, http.MethodGet, "/v1/sessions", "")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"sessions":[],"total":0,"missing":[]`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if f.asked.Limit != defaultListed {
		t.Errorf("asked for %d", f.asked.Limit)
	}
	s.deps.Terminals = noTerminals{}
	if w := ask(s, http.MethodPost, "/v1/sessions/end", `{"host":"ide-1"}`); !strings.Contains(w.Body.String(), `"ended":0,"left":0,"missing":[]`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestQuestionsAboutTerminalsMustBePossible(t *testing.T) {
	s, f := newTerminals(t, io.Discard)
	for _, row := range []struct{ method, path, body, want string }{
		{http.MethodGet, "/v1/sessions?idle=10", "", "idle"},
		{http.MethodGet, "/v1/sessions?idle=-1m", "", "idle"},
		{http.MethodGet, "/v1/sessions?key=alice", "", "names no key"},
		{http.MethodGet, "/v1/sessions?limit=0", "", "limit"},
		{http.MethodGet, "/v1/sessions?limit=4001", "", "limit"},
		{http.MethodPost, "/v1/sessions/end", `{}`, "say which sessions end"},
		{http.MethodPost, "/v1/sessions/end", `{"idle":"10m"}`, "say which sessions end"},
		{http.MethodPost, "/v1/sessions/end", `{"keys":["0123"]}`, "names no key"},
		{http.MethodPost, "/v1/sessions/end", `{"host":"ide-1","idle":"soon"}`, "idle"},
		{http.MethodPost, "/v1/sessions/find", `{"token":""}`, "token"},
	} {
		if w := ask(s, row.method, row.path, row.body); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), row.want) {
			t.Errorf("%s %s: got %d %s, want 422 with %q", row.path, row.body, w.Code, w.Body, row.want)
		}
	}
	if f.asked.Limit != 0 {
		t.Errorf("asked for %+v", f.asked)
	}
}

// TestATokenIsFound by its digest; the token itself isn't in the answer.
func TestATokenIsFound(t *testing.T) {
	s, f := newTerminals(t, io.Discard)
	late, early := aDay.Add(time.Hour), aDay
	digest := s.deps.Digester.Digest([]byte("secret-of-alice"))
	f.listing.Terminals = []session.Listed{{Digest: digest, Host: "ide-1", Detail: session.Detail{Opened: late}}, {Digest: digest, Host: "ide-1", Detail: session.Detail{Opened: early}}}
	w := ask(s, http.MethodPost, "/v1/sessions/find", `{"token":"secret-of-alice"}`)
	var got findSessionsBody
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("got %d %s, %v", w.Code, w.Body, err)
	}
	whole, _ := digest.MarshalText()
	if len(f.asked.Keys) != 1 || f.asked.Keys[0] != string(whole) {
		t.Errorf("asked for %q, want %s", f.asked.Keys, whole)
	}
	if got.Key != digest.String() || got.Since == nil || !got.Since.Equal(early) || got.Rule != "owner" || got.Host == "" || len(got.Sessions) != 2 {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(w.Body.String(), "alice") {
		t.Errorf("the answer has the token: %s", w.Body)
	}
	if w := ask(s, http.MethodPost, "/v1/sessions/find", `{"token":"secret-of-alice","x":1}`); strings.Contains(w.Body.String(), "alice") {
		t.Errorf("the refusal has the token: %s", w.Body)
	}
}

func TestSessionsAreEnded(t *testing.T) {
	var log bytes.Buffer
	s, f := newTerminals(t, &log)
	f.ending = session.Ending{Ended: 3, Left: 2}
	w := ask(s, http.MethodPost, "/v1/sessions/end", `{"host":"ide-1","idle":"1h","limit":3,"reason":"new kernel","by":"eva"}`)
	if want := (session.Selection{Host: "ide-1", Idle: time.Hour, Limit: 3}); cmp.Diff(want, f.asked) != "" {
		t.Errorf("asked for %+v, want %+v", f.asked, want)
	}
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"ended":3,"left":2`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	for _, part := range []string{`"by":"eva"`, `"host":"ide-1"`, `"ended":3`, `"reason":"new kernel"`, "an operator ended sessions"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("no %s in %s", part, &log)
		}
	}
}
