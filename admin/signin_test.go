package admin

import (
	"bytes"
	"encoding/json"
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

func TestSignInEnds(t *testing.T) {
	reachable := func(s *Server, fields []string) bool {
		return send(s, "GET", "/v1/status", "", fields...).Code == http.StatusOK
	}
	t.Run("by itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, newRegion(), io.Discard)
			fields := signedIn(t, s)
			time.Sleep(signInLife - time.Second)
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

func TestTheOldestSignInEndsForANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSignIns()
		var names []string
		for range maxSignIns + 1 {
			names = append(names, s.open(false))
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
		s.endAll(false)
	})
}

// TestSignInsGoOverToAnotherProcess with their expiry, unless that has another token. What is
// handed over can't be used as a cookie, and an end stays an end.
func TestSignInsGoOverToAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := newServer(t, newRegion(), io.Discard), newServer(t, newRegion(), io.Discard)
		staying, leaving := signedIn(t, old), signedIn(t, old)
		reachable := func(fields []string) bool {
			return send(next, "GET", "/v1/status", "", fields...).Code == http.StatusOK
		}
		next.Restore(old.State())
		if !reachable(staying) || !reachable(leaving) {
			t.Error("a sign-in is lost")
		}
		send(old, "POST", "/signout", "", leaving...)
		old.signIns.endHere() // as Serve does when it ends
		text, err := json.Marshal(old.State())
		if err != nil {
			t.Fatal(err)
		}
		_, cookie, _ := strings.Cut(staying[len(staying)-1], "=")
		if strings.Contains(string(text), cookie) || strings.Contains(string(text), adminToken) {
			t.Errorf("a secret is in %s", text)
		}
		var last State
		if err := json.Unmarshal(text, &last); err != nil {
			t.Fatal(err)
		}
		next.Restore(last)
		if !reachable(staying) || reachable(leaving) {
			t.Error("the last state isn't in force")
		}
		time.Sleep(signInLife + time.Second)
		if next.Restore(last); reachable(staying) {
			t.Error("the session is still good after its life")
		}
		last.SignIns[0].Expires = time.Now().Add(signInLife)
		last.Token = []byte("another")
		if next.Restore(last); reachable(staying) {
			t.Error("the session is good though the token has changed")
		}
	})
}
