package admin

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/ringlog"
	"tokenring/route"
)

// recorded has a region record what it is at a time.
func (r *fakeRegion) recorded(rec *ringlog.Recorder, at time.Time) {
	none := func(string) ringlog.SlowStart { return ringlog.SlowStart{} }
	rec.Record(ringlog.Observation{At: at, Snapshot: r.Snapshot(), SlowStart: none, Serves: func(string) bool { return true }, Hash: balancer.Config{}})
	r.rings.Store(rec.Log())
}

// pastRegion is newRegion, of which ide-2 was drained an hour ago, and failed its checks half
// an hour before that.
func pastRegion() *fakeRegion {
	r := newRegion()
	rec := ringlog.NewRecorder(new(ringlog.Log), "lb-1 started")
	r.recorded(rec, time.Now().Add(-2*time.Hour))
	r.change("ide-2", func(h *route.Host) { h.Verdict, h.CheckError = route.Down, "refused" })
	r.recorded(rec, time.Now().Add(-90*time.Minute))
	r.change("ide-2", func(h *route.Host) {
		h.State, h.StateOverride = route.Drain, route.Attribution{By: "eva", Reason: "kernel"}
	})
	r.recorded(rec, time.Now().Add(-time.Hour))
	return r
}

func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

func TestTheRingOfAnEarlierMomentIsShown(t *testing.T) {
	s := newServer(t, pastRegion(), io.Discard)
	at := func(d time.Duration) ringBody {
		return decode[ringBody](t, ask(s, "GET", "/v1/ring?at="+url.QueryEscape(ago(d)), ""), http.StatusOK)
	}
	got := at(80 * time.Minute)
	if len(got.Shares) != 3 || got.Past == nil || got.Past.Cause != "lb-1 started" || got.Past.Change == nil || got.Past.Change.Cause != "ide-2 down: refused" ||
		got.Past.Until == nil || len(got.Past.Hosts) != 4 || got.Agree != nil || got.Version != nil || got.SlowStart != nil {
		t.Errorf("got %+v, past %+v", got, got.Past)
	}
	if h := got.Past.Hosts[1]; h.Host != "ide-2" || h.Verdict != "down" || !h.InRing || h.WhyNot != "refused" {
		t.Errorf("got %+v", h)
	}
	now := at(time.Minute)
	if len(now.Shares) != 2 || now.Past.Cause != "ide-2 drained by eva (kernel)" || now.Past.Until != nil || now.Past.Moved == nil || *now.Past.Moved < 0.2 ||
		now.Digest != decode[ringBody](t, ask(s, "GET", "/v1/ring", ""), http.StatusOK).Digest {
		t.Errorf("got %+v, past %+v", now, now.Past)
	}
	if clock := decode[ringBody](t, ask(s, "GET", "/v1/ring?at="+time.Now().Add(-time.Minute).Format("15:04:05"), ""), http.StatusOK); clock.Digest != now.Digest {
		t.Errorf("by the time of day: got %+v", clock)
	}
}

func TestWhereATokenWentIsExplained(t *testing.T) {
	r := pastRegion()
	s := newServer(t, r, io.Discard)
	s.deps.Cookie = "lb"
	s.deps.Sessions = func(balancer.Digest) (string, int) { return "ide-1", 3 } // now, which says nothing of then
	token := ""
	for _, word := range strings.Fields("alice bob carol dave erin frank") {
		if b := explainAt(t, s, word, 100*time.Minute); b.Host == "ide-2" {
			token = word
		}
	}
	if token == "" {
		t.Fatal("no token went to ide-2")
	}
	before, down, drained := explainAt(t, s, token, 100*time.Minute), explainAt(t, s, token, 80*time.Minute), explainAt(t, s, token, time.Minute)
	if before.Rule != "owner" || down.Rule != "fallback" || down.Host == "ide-2" || !strings.Contains(down.Reason, "its checks fail: refused") {
		t.Errorf("got %+v, then %+v", before, down)
	}
	if drained.Owner != down.Candidates[1].Host || drained.RingDigest == down.RingDigest || drained.Host != down.Host || drained.Session != nil {
		t.Errorf("drained: got %+v, want the successor before as the owner", drained)
	}
	if unknown := strings.Join(down.Past.Unknown, " "); !strings.Contains(unknown, "Sessions aren't kept") || !strings.Contains(unknown, "cookie lb") || strings.Contains(unknown, "bounded_load") {
		t.Errorf("what isn't known: %s", unknown)
	}
	if down.TokenDigest == "" || down.Past.Cause != "lb-1 started" {
		t.Errorf("got %+v, past %+v", down, down.Past)
	}
}

func explainAt(t *testing.T, s *Server, token string, d time.Duration) explainBody {
	t.Helper()
	return decode[explainBody](t, ask(s, "POST", "/v1/explain", `{"token":"`+token+`","at":"`+ago(d)+`"}`), http.StatusOK)
}

func TestTheHistoryIsListedNewestFirst(t *testing.T) {
	s := newServer(t, pastRegion(), io.Discard)
	got := decode[historyBody](t, ask(s, "GET", "/v1/ring/history", ""), http.StatusOK).Rings
	if len(got) != 2 || got[0].Number != 3 || got[0].Cause != "ide-2 drained by eva (kernel)" || got[0].Hosts != 2 || len(got[0].Left) != 1 || got[0].Moved == nil || got[0].Until != nil {
		t.Fatalf("got %+v", got)
	}
	if first := got[1]; first.Moved != nil || !first.Until.Equal(got[0].At) || len(first.Changes) != 1 || first.Changes[0].Cause != "ide-2 down: refused" {
		t.Errorf("got %+v", first)
	}
	empty := newServer(t, newRegion(), io.Discard)
	if text := ask(empty, "GET", "/v1/ring/history", "").Body.String(); !strings.Contains(text, `"rings":[]`) {
		t.Errorf("without a ring: got %s", text)
	}
}

// TestATimeThatIsNotKnownIsAnError: it says from when on there is an answer, and never what
// was asked, since a token may be in the wrong place.
func TestATimeThatIsNotKnownIsAnError(t *testing.T) {
	r := pastRegion()
	s := newServer(t, r, io.Discard)
	for _, row := range []struct {
		at, want string
		status   int
	}{
		{ago(3 * time.Hour), "the first that is kept is of " + r.RingLog().First().Format("2006-01-02 15:04:05 UTC"), http.StatusNotFound},
		{ago(-time.Hour), "in the future", http.StatusUnprocessableEntity},
		{"s3cret-t0ken", "isn't a time", http.StatusUnprocessableEntity},
		{strings.Repeat("s3cret-t0ken", 4), "", http.StatusUnprocessableEntity},
	} {
		for _, answer := range []fault{
			decode[fault](t, ask(s, "GET", "/v1/ring?at="+url.QueryEscape(row.at), ""), row.status),
			decode[fault](t, ask(s, "POST", "/v1/explain", `{"token":"alice","at":"`+row.at+`"}`), row.status),
		} {
			if !strings.Contains(answer.Detail, row.want) || strings.Contains(answer.Detail, "s3cret") || strings.Contains(answer.Detail, "alice") {
				t.Errorf("%s: got %q, want %q", row.at, answer.Detail, row.want)
			}
		}
	}
	if got := decode[fault](t, ask(newServer(t, newRegion(), io.Discard), "GET", "/v1/ring?at=02:30", ""), http.StatusNotFound); got.Detail != "no ring is known yet" {
		t.Errorf("without a ring: got %q", got.Detail)
	}
	s = newServer(t, r, io.Discard)
	s.deps.Hash.Seed = "0123456789abcdef"
	if got := decode[fault](t, ask(s, "GET", "/v1/ring?at="+url.QueryEscape(ago(time.Minute)), ""), http.StatusConflict); !strings.Contains(got.Detail, "hash.seed") {
		t.Errorf("with another seed: got %q", got.Detail)
	}
}
