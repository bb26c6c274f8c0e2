package admin

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

func TestAnotherTokenReplacesTheOneBefore(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, newRegion(), &log)
	with := func(token string) int {
		return send(s, "GET", "/v1/status", "", "Authorization", "Bearer "+token).Code
	}
	browser := signedIn(t, s)
	const next = "another-token-of-the-operators"
	for _, unusable := range []string{"", "two\nlines"} {
		if err := s.SetToken(unusable); err == nil {
			t.Errorf("%q is taken", unusable)
		}
	}
	if err := s.SetToken(adminToken); err != nil || send(s, "GET", "/v1/status", "", browser...).Code != http.StatusOK {
		t.Errorf("the same token ends a sign-in, %v", err)
	}
	if err := s.SetToken(next); err != nil {
		t.Fatal(err)
	}
	if with(adminToken) != http.StatusUnauthorized || with(next) != http.StatusOK {
		t.Errorf("got %d with the old token, %d with the new one", with(adminToken), with(next))
	}
	if got := send(s, "GET", "/v1/status", "", browser...).Code; got != http.StatusUnauthorized {
		t.Errorf("a sign-in with the old token still counts: %d", got)
	}
	if text := log.String(); !strings.Contains(text, "the admin token has changed") || strings.Contains(text, next) {
		t.Errorf("the log says %s", text)
	}
}

func TestStreamsOfTheOldTokenEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		var ended [2]bool
		for i, fields := range [][]string{{"Authorization", "Bearer " + adminToken}, signedIn(t, s)} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/events", nil)
			r.Host = "127.0.0.1:7000"
			for j := 0; j < len(fields); j += 2 {
				r.Header.Set(fields[j], fields[j+1])
			}
			go func() {
				s.handler.ServeHTTP(&tap{header: http.Header{}}, r)
				ended[i] = true
			}()
		}
		synctest.Wait()
		if ended[0] || ended[1] {
			t.Fatalf("streams end before the token changes: %v", ended)
		}
		if err := s.SetToken("another-token-of-the-operators"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !ended[0] || !ended[1] {
			t.Errorf("streams go on: with the token %v, of a sign-in %v", !ended[0], !ended[1])
		}
	})
}

func TestProblemsElsewhereAreAlarms(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	s.deps.Problems = func() []string { return []string{"the changed file isn't used"} }
	if body := ask(s, "GET", "/v1/status", "").Body.String(); !strings.Contains(body, `"the changed file isn't used"`) {
		t.Errorf("got %s", body)
	}
}
