package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

const readToken = "the-token-of-the-readers"

// newReadServer returns a server that has a token for readers.
func newReadServer(t *testing.T) *Server {
	t.Helper()
	s := newServer(t, newRegion(), io.Discard)
	if err := s.SetReadToken(readToken); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestReadersChangeNothing tries every call of the API with the readers' token, and with a
// sign-in by it.
func TestReadersChangeNothing(t *testing.T) {
	s := newReadServer(t)
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(ask(s, "GET", "/v1/openapi.json", "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	bearer := []string{"Authorization", "Bearer " + readToken, "Content-Type", "application/json"}
	browser := signedInWith(t, s, readToken)
	refused, served := 0, 0
	for path, calls := range doc.Paths {
		if path == "/events" { // lasts
			continue
		}
		for method := range calls {
			method = strings.ToUpper(method)
			for how, fields := range map[string][]string{"by the token": bearer, "signed in": browser} {
				answer := send(s, method, strings.ReplaceAll(path, "{name}", "ide-1"), "{}", fields...)
				forbidden := answer.Code == http.StatusForbidden && strings.Contains(answer.Body.String(), "may read, and change nothing")
				if changes := method != "GET" && !readingCalls[path]; forbidden != changes {
					t.Errorf("%s %s, %s: got %d %s", method, path, how, answer.Code, answer.Body)
				}
				if forbidden {
					refused++
				} else {
					served++
				}
			}
		}
	}
	if refused < 10 || served < 20 {
		t.Errorf("%d calls were refused and %d were not: are these all?", refused, served)
	}
	if got := send(s, "GET", "/metrics", "", bearer...).Code; got != http.StatusOK {
		t.Errorf("metrics: got %d", got)
	}
	if got := send(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain"}`, "Authorization", "Bearer "+adminToken, "Content-Type", "application/json").Code; got != http.StatusOK {
		t.Errorf("the operators' token gets %d", got)
	}
}

// TestTheReadersTokenIsReplacedAlone: who has signed in with the operators' token stays.
func TestTheReadersTokenIsReplacedAlone(t *testing.T) {
	s := newReadServer(t)
	operator, reader := signedIn(t, s), signedInWith(t, s, readToken)
	status := func(fields []string) int { return send(s, "GET", "/v1/status", "", fields...).Code }
	if err := s.SetReadToken("another-token-of-readers"); err != nil {
		t.Fatal(err)
	}
	if status(operator) != http.StatusOK || status(reader) != http.StatusUnauthorized {
		t.Errorf("the operator gets %d, the reader %d", status(operator), status(reader))
	}
	if got := status([]string{"Authorization", "Bearer " + readToken}); got != http.StatusUnauthorized {
		t.Errorf("the token before gets %d", got)
	}
	reader = signedInWith(t, s, "another-token-of-readers")
	if err := s.SetToken("another-token-of-the-operators"); err != nil {
		t.Fatal(err)
	}
	if status(operator) != http.StatusUnauthorized || status(reader) != http.StatusOK {
		t.Errorf("then the operator gets %d, the reader %d", status(operator), status(reader))
	}
}

// TestAReaderStaysAReaderOverAReload, and is signed out if the next process has another token
// for readers.
func TestAReaderStaysAReaderOverAReload(t *testing.T) {
	before := newReadServer(t)
	operator, reader := signedIn(t, before), signedInWith(t, before, readToken)
	for _, row := range []struct {
		token string
		want  int // what the reader gets
	}{{readToken, http.StatusOK}, {"another-token-of-readers", http.StatusUnauthorized}} {
		s := newServer(t, newRegion(), io.Discard)
		if err := s.SetReadToken(row.token); err != nil {
			t.Fatal(err)
		}
		s.Restore(before.State())
		if got := send(s, "GET", "/v1/status", "", reader...).Code; got != row.want {
			t.Errorf("with %s: the reader gets %d", row.token, got)
		}
		if got := send(s, "GET", "/v1/status", "", operator...).Code; got != http.StatusOK {
			t.Errorf("with %s: the operator gets %d", row.token, got)
		}
		if got := send(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain"}`, reader...).Code; got == http.StatusOK {
			t.Errorf("with %s: the reader changes something", row.token)
		}
	}
}

// TestMetricsNeedNoTokenAtTheirOwnAddress and nothing else is there.
func TestMetricsNeedNoTokenAtTheirOwnAddress(t *testing.T) {
	s := newReadServer(t)
	s.handler = s.metricsRoutes()
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/v1/status": 404, "/": 404, "/signin": 404, "/events": 404} {
		if got := send(s, "GET", path, "").Code; got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	if got := send(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain"}`, "Authorization", "Bearer "+adminToken).Code; got != 404 {
		t.Errorf("a change gets %d", got)
	}
}
