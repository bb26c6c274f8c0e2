package upstream

import (
	"context"
	"errors"
	"testing"
	"time"

	"tokenring/http1"
	"tokenring/proxy/deadline"
	"tokenring/proxy/proxyheader"
	"tokenring/route"
)

// hostOf returns the host that s is, which may open connections.
func hostOf(t *testing.T, s *server) *Host {
	h := New(&route.Host{Spec: route.Spec{Name: "a", Address: s.address}, Gauges: new(route.Gauges)}, Config{MaxIdle: time.Minute})
	h.Open()
	t.Cleanup(h.Close)
	return h
}

func dial(t *testing.T, h *Host) *Conn {
	t.Helper()
	c, err := h.Dial(t.Context(), 10*time.Second, proxyheader.Ends{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAHostOpensNothingBeforeOpen(t *testing.T) {
	s := serve(t, nil)
	h := New(&route.Host{Spec: route.Spec{Name: "a", Address: s.address}, Gauges: new(route.Gauges)}, Config{})
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.Dial(ctx, time.Second, proxyheader.Ends{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want it to wait", err)
	}
	h.Open()
	dial(t, h).Close()
	if n := h.Gauges.ConnectErrors.Load(); n != 0 {
		t.Errorf("%d connect errors, want none", n)
	}
}

func TestAHostThatMovesClosesItsConnectionsAndOpensNone(t *testing.T) {
	s := serve(t, map[string]reply{"/": {"", true}})
	h := hostOf(t, s)
	busy, idle := dial(t, h), dial(t, h)
	h.Put(idle)
	h.Retire()
	if _, err := h.Dial(t.Context(), time.Second, proxyheader.Ends{}); !errors.Is(err, ErrMoved) || !h.Retired() {
		t.Errorf("got %v, want ErrMoved", err)
	}
	if busy.Reader.Buffered() > 0 || h.CloseOldest() != true {
		t.Error("what was open before is closed too early")
	}
	h.Put(busy)
	if conns, _ := h.Usage(); conns != 0 {
		t.Errorf("%d connections are kept, want none", conns)
	}
}

func TestCloseEndsRequestsInProgress(t *testing.T) {
	s := serve(t, map[string]reply{"/": {"", true}})
	h := hostOf(t, s)
	c := dial(t, h)
	ended := make(chan error)
	go func() {
		c.ReadBy.Within(10 * time.Second)
		err := c.WriteAndWait([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		ended <- errors.Join(err, c.ReadAnswer([]byte("GET")))
	}()
	h.Close()
	if err := <-ended; err == nil || deadline.Exceeded(err) {
		t.Errorf("got %v, want the end of the connection", err)
	}
	c.Close()
	if conns, _ := h.Usage(); conns != 0 {
		t.Errorf("%d connections are left", conns)
	}
}

// A counter counts its notes.
type counter int

func (c *counter) Note() { *c++ }

func TestWatchersAreCalledUntilUnwatch(t *testing.T) {
	h := New(&route.Host{}, Config{})
	defer h.Close()
	a, b := new(counter), new(counter)
	h.Watch(a)
	h.Watch(b)
	h.Notify()
	h.Unwatch(a)
	h.Notify()
	h.Unwatch(b)
	h.Notify()
	if *a != 1 || *b != 2 {
		t.Errorf("told %d and %d times, want 1 and 2", *a, *b)
	}
	if _, watchers := h.Usage(); watchers != 0 {
		t.Errorf("%d watchers are left", watchers)
	}
}

// TestAnAnswerIsReadFromAReusedConnection has the same connection carry two requests.
func TestAnAnswerIsReadFromAReusedConnection(t *testing.T) {
	const answer = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
	s := serve(t, map[string]reply{"/": {answer, true}})
	h := hostOf(t, s)
	c := dial(t, h)
	ask := func() (statuses []int) {
		c.ReadBy.Within(10 * time.Second)
		err := c.WriteAndWait([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		for final := false; err == nil && !final; final = c.Response.Status >= 200 {
			err = c.ReadAnswer([]byte("GET"))
			statuses = append(statuses, c.Response.Status)
		}
		if err != nil {
			t.Error(err)
		}
		return statuses
	}
	if c.Reused() || !c.Unanswered() {
		t.Error("a new connection isn't reused, and nothing has come")
	}
	if got := ask(); len(got) != 2 || got[0] != 103 || got[1] != 204 {
		t.Errorf("got %v", got)
	}
	h.Put(c)
	if got := h.Take(&http1.Request{Method: []byte("GET")}, proxyheader.Ends{}); got != c || !c.Reused() {
		t.Fatal("the idle connection isn't taken")
	}
	before := h.SafeIdle.Duration()
	c.idle = before / 2
	c.FoundClosed()
	if got := h.SafeIdle.Duration(); got != before/4 {
		t.Errorf("idle connections are trusted for %v, want %v", got, before/4)
	}
	c.Close()
}
