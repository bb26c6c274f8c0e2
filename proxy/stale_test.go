package proxy

import (
	"net/http"
	"testing"
)

func TestStaleConnectionToAnUnreachableHostLeadsToTheFallback(t *testing.T) {
	a := newHost(t, "a")
	a.on("/die", func(*wire, *http.Request) bool {
		a.ln.Close()
		return false
	})
	l := start(t, nil, a, newHost(t, "b"))
	token := l.token("a")
	l.ask(get("/x?token="+token), 200)
	l.waitUntilIdle()
	if r := l.ask(get("/die?token="+token), 200); r.body != "b GET /die" {
		t.Errorf("got %q, want the answer of the successor", r.body)
	}
}
