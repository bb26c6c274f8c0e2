package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

func TestUnreachableHostIsReplacedByItsSuccessorOnce(t *testing.T) {
	a, b := newHost(t, "a"), newHost(t, "b")
	l := start(t, nil, a, b)
	token := l.token("a")
	a.stop()
	for range 2 { // the second time over a pooled connection
		if r := l.ask(get("/x?token="+token), 200); r.body != "b GET /x" {
			t.Errorf("got %q", r.body)
		}
	}
	l.ask("POST /post?token="+token+" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 200)
	if e := l.logged("/post"); e["host"] != "b" || e["why"] != "retry" || e["retried"] != true {
		t.Errorf("the log says %v", e)
	}
	if n := l.hosts[0].Gauges.ConnectErrors.Load(); n != 3 || l.suspects.Load() != 3 {
		t.Errorf("got %d connect errors and %d suspicions, want 3", n, l.suspects.Load())
	}
}

func TestStatusTellsWhyThereIsNoHost(t *testing.T) {
	a, b := newHost(t, "a"), newHost(t, "b")
	l := start(t, nil, a, b)
	w := l.dial()
	a.stop()
	b.stop()
	w.send(get("/x?token=" + mark)).want(502)
	l.use(func(s *route.Snapshot) {
		s.Frozen = true
		for _, h := range s.Hosts {
			h.Verdict = route.Down
		}
	})
	if r := w.send(get("/x?token=" + mark)).want(503); r.Header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After in %v", r.Header)
	}
	l.p.Use(route.NewSnapshot(nil, nil))
	if r := w.send(get("/x?token=" + mark)).want(503); r.Header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After in %v", r.Header)
	}
	a1 := w.send("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n").answer("HEAD")
	if a1.StatusCode != 503 || a1.ContentLength <= 0 {
		t.Errorf("got %v", a1)
	}
	if r := w.send("GET /x HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n").want(503); !strings.Contains(r.body, "<title>503") {
		t.Errorf("got %q", r.body)
	}
}

// stale makes an idle connection to h of which the host closes the other end when
// the next request comes in.
func stale(l *lab, h *host) {
	h.on("/stale", func(w *wire, r *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = w.in.ReadString('\n')
		return false
	})
	l.ask(get("/stale"), 200)
	l.waitUntilIdle()
}

func TestStaleConnectionIsRetriedOnlyForRepeatableRequests(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, nil, h)
	stale(l, h)
	if r := l.ask(get("/again"), 200); r.body != "a GET /again" {
		t.Errorf("got %q", r.body)
	}
	if n := strings.Count(h.received(), "GET /again"); n != 2 {
		t.Errorf("GET was sent %d times, want 2", n)
	}
	for _, body := range []string{"", "Content-Length: 2\r\n\r\nhi"} {
		l.p.Use(route.NewSnapshot(nil, nil)) // forgets the connections
		l.use()
		stale(l, h)
		before := strings.Count(h.received(), "POST /once")
		l.ask("POST /once HTTP/1.1\r\nHost: x\r\n"+strings.TrimSuffix(body+"\r\n\r\n", "hi\r\n\r\n")+"", 502)
		if n := strings.Count(h.received(), "POST /once") - before; n != 1 {
			t.Errorf("POST was sent %d times, want 1", n)
		}
	}
	l.canary()
}

func TestStaleConnectionOfTheFallbackIsRetried(t *testing.T) {
	a, b := newHost(t, "a"), newHost(t, "b")
	l := start(t, nil, a, b)
	token := l.token("a")
	a.stop()
	b.on("/stale", func(w *wire, r *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = w.in.ReadString('\n')
		return false
	})
	l.ask(get("/stale?token="+token), 200)
	l.waitUntilIdle()
	l.ask(get("/again?token="+token), 200)
}

func TestWebSocketIsNeverSentOnAnIdleConnection(t *testing.T) {
	h := newHost(t, "a").on("/ws", accept(func(w *wire) { w.expectEnd() }))
	l := start(t, nil, h)
	stale(l, h)
	w := l.dial()
	w.open("/ws", mark)
	w.Close()
}

func TestBytesWithoutARequestNeverReachAClient(t *testing.T) {
	release, sent := make(chan bool), make(chan bool)
	h := newHost(t, "a").
		on("/late", func(w *wire, r *http.Request) bool {
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			<-release
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
			close(sent)
			_, _ = io.Copy(io.Discard, w.in)
			return false
		}).
		on("/extra", says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", true))
	l := start(t, nil, h)
	l.ask(get("/late"), 200)
	l.waitUntilIdle()
	close(release)
	<-sent
	l.canary()
	w := l.dial()
	if a := w.send(get("/extra")).want(200); a.body != "ok" {
		t.Errorf("got %q", a.body)
	}
	if a := w.send(get("/next")).want(200); a.body != "a GET /next" {
		t.Errorf("got %q", a.body)
	}
}

func TestIdleConnectionsOutliveTheDeadlineOfTheirLastAnswer(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, func(l *lab) { l.cfg.Timeouts.Response = 20 * time.Millisecond }, h)
	l.canary()
	l.waitUntilIdle()
	passed := time.After(60 * time.Millisecond)
	<-passed
	l.canary()
	if n := h.dials.Load(); n != 1 {
		t.Errorf("got %d connections to the host, want 1", n)
	}
}
