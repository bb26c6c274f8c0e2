package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/route"
	"tokenring/session"
)

// waits has changes of the ring wait for lb-2.
func (r *fakeRegion) waits(changes ...string) {
	r.put(r.Snapshot().Hosts, func(s *route.Snapshot) {
		s.Waiting = route.Waiting{Missing: 1, For: []string{"lb-2"}, Since: aDay, Until: aDay.Add(10 * time.Minute), Changes: changes}
	})
}

func TestTheStatusSaysWhatWaits(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	if got := ask(s, http.MethodGet, "/v1/status", "").Body.String(); strings.Contains(got, "waiting") {
		t.Errorf("nothing waits: %s", got)
	}
	r.waits("ide-1 leaves the ring: draining", "ide-9 joins")
	const want = `"waiting":{"for":["lb-2"],"since":"2026-03-01T12:00:00Z","until":"2026-03-01T12:10:00Z","changes":["ide-1 leaves the ring: draining","ide-9 joins"]}`
	if got := ask(s, http.MethodGet, "/v1/status", "").Body.String(); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	const waits = `"waits":"ide-1 leaves the ring: draining, which waits for lb-2"`
	for _, answer := range []string{
		ask(s, http.MethodGet, "/v1/hosts", "").Body.String(), ask(s, http.MethodGet, "/v1/hosts/ide-1", "").Body.String(),
	} {
		if strings.Count(answer, `"waits"`) != 1 || !strings.Contains(answer, waits) {
			t.Errorf("got %s, want %s", answer, waits)
		}
	}
}

func TestAnOperatorInsists(t *testing.T) {
	r := newRegion()
	var log bytes.Buffer
	s := newServer(t, r, &log)
	var asked []string
	done, refuse := Insisted{}, error(nil)
	s.deps.Insist = func(_ context.Context, peers []string) (Insisted, error) {
		asked = peers
		return done, refuse
	}
	if w := ask(s, http.MethodPost, "/v1/insist", `{}`); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "no change of the ring waits for a balancer") || asked != nil {
		t.Errorf("nothing waits: %d %s", w.Code, w.Body)
	}
	r.waits("ide-9 joins")
	done = Insisted{Peers: []string{"lb-2"}, By: []string{"lb-1"}, Missing: []session.Missing{{Balancer: "lb-3", Why: "too slow"}}}
	w := ask(s, http.MethodPost, "/v1/insist", `{"peers":["lb-2"],"by":"eva","reason":"its machine is off"}`)
	const want = `{"peers":["lb-2"],"changes":["ide-9 joins"],"by":["lb-1"],"missing":[{"balancer":"lb-3","why":"too slow"}]}`
	if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want || len(asked) != 1 {
		t.Errorf("got %d %s, want %s", w.Code, w.Body, want)
	}
	for _, part := range []string{`"by":"eva"`, `"balancers":["lb-2"]`, `"changes":["ide-9 joins"]`, `"reason":"its machine is off"`, "an operator insisted"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log has no %s: %s", part, log.String())
		}
	}
	for _, row := range []struct {
		err  error
		code int
		want string
	}{
		{route.ErrNothingWaits, http.StatusConflict, "changes of the ring wait for lb-2, and for none of lb-7"},
		{errors.New("the pool has stopped"), http.StatusServiceUnavailable, "the pool has stopped"},
	} {
		refuse = row.err
		if w := ask(s, http.MethodPost, "/v1/insist", `{"peers":["lb-7"]}`); w.Code != row.code || !strings.Contains(w.Body.String(), row.want) {
			t.Errorf("%v: got %d %s", row.err, w.Code, w.Body)
		}
	}
}
