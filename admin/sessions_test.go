package admin

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSignInSetsACookieThatScriptsCantRead(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	w := send(s, "POST", "/signin", `{"token":"`+adminToken+`"}`, "Origin", "http://127.0.0.1:7000", "X-Lb-Dashboard", "1")
	if len(w.Result().Cookies()) != 1 {
		t.Fatalf("got %d with cookies %v, want one", w.Code, w.Result().Cookies())
	}
	c := w.Result().Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Name != "lb_session_7000" || c.Path != "/" {
		t.Errorf("got cookie %s", c)
	}
	if strings.Contains(c.Value, adminToken) || len(c.Value) < 26 {
		t.Errorf("the cookie holds %q", c.Value)
	}
}

func TestSignInIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, body, origin string
		want               int
	}{
		{"wrong token", `{"token":"MARKED"}`, "http://127.0.0.1:7000", http.StatusUnauthorized},
		{"empty token", `{"token":""}`, "http://127.0.0.1:7000", http.StatusUnauthorized},
		{"broken body", `{"token":"MARKED`, "http://127.0.0.1:7000", http.StatusBadRequest},
		{"number", `{"token":"MARKED", "x":}`, "http://127.0.0.1:7000", http.StatusBadRequest},
		{"too long", `{"token":"` + strings.Repeat("MARKED", 20000) + `"}`, "http://127.0.0.1:7000", http.StatusBadRequest},
		{"another page", `{"token":"` + adminToken + `"}`, "http://evil.example", http.StatusForbidden},
	} {
		var log bytes.Buffer
		s := newServer(t, newRegion(), &log)
		w := send(s, "POST", "/signin", c.body, "Origin", c.origin, "X-Lb-Dashboard", "1")
		if w.Code != c.want || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: got %d %v, want %d and no cookie", c.name, w.Code, w.Result().Cookies(), c.want)
		}
		if strings.Contains(w.Body.String()+log.String(), "MARKED") {
			t.Errorf("%s: the answer or the log repeats the token: %s %s", c.name, w.Body, &log)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	reachable := func(s *Server, fields []string) bool {
		return send(s, "GET", "/v1/status", "", fields...).Code == http.StatusOK
	}
	t.Run("by itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, newRegion(), io.Discard)
			fields := signedIn(t, s)
			time.Sleep(sessionLife - time.Second)
			if !reachable(s, fields) {
				t.Error("the session ended early")
			}
			time.Sleep(2 * time.Second)
			if reachable(s, fields) {
				t.Error("the session is still good after its life")
			}
		})
	})
	t.Run("by signing out", func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		fields := signedIn(t, s)
		if w := send(s, "POST", "/signout", "", fields...); w.Code != http.StatusNoContent {
			t.Fatalf("sign out: got %d", w.Code)
		}
		if reachable(s, fields) {
			t.Error("the session is still good after signing out")
		}
	})
}

func TestTheOldestSessionGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSessions()
		var names []string
		for range maxSessions + 1 {
			names = append(names, s.open())
			time.Sleep(time.Second)
		}
		if s.find(names[0]) != nil {
			t.Error("the oldest session is still there")
		}
		for i, name := range names[1:] {
			if s.find(name) == nil {
				t.Errorf("session %d is gone", i+1)
			}
		}
		s.endAll()
	})
}
