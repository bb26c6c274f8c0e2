package proxy

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

const post = "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"

func TestPostsInARowShareAConnection(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, nil, h)
	for range 50 {
		l.ask(post, 200)
		l.waitUntilIdle()
	}
	if n := h.dials.Load(); n > 5 { // one, unless this machine pauses for a tenth of a second
		t.Errorf("got %d connections for 50 requests, want one", n)
	}
}

// TestNoPostIsLostToAHostThatClosesIdleConnections has requests come when a host is
// just closing the only idle connection to it.
func TestNoPostIsLostToAHostThatClosesIdleConnections(t *testing.T) {
	t.Parallel()
	const idle = 300 * time.Millisecond
	var clients sync.WaitGroup
	for i := range 8 {
		l := start(t, nil, newHost(t, "a").closesAfter(idle))
		clients.Go(func() {
			for j := range 5 {
				request := post
				if j%3 == 1 {
					request = get("/get") // may be sent again, and shows that the connection was closed
				}
				l.ask(request, 200)
				time.Sleep(idle + time.Duration(i-1)*idle/60)
			}
		})
	}
	clients.Wait()
}

// TestKeepAliveOfAHostIsObeyed has one that closes after a second, and says
// so.
func TestKeepAliveOfAHostIsObeyed(t *testing.T) {
	t.Parallel()
	h := newHost(t, "a").on("/x", func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	h.closesAfter(time.Second)
	l := start(t, nil, h)
	most := int64(3)
	for _, pause := range []time.Duration{0, 50, 700, 990} {
		begin := time.Now()
		time.Sleep(pause * time.Millisecond)
		l.ask(get("/x"), 200)
		if pause == 50 && time.Since(begin) > 400*time.Millisecond { // on a busy machine; the connection is used for half a second
			most++
		}
	}
	if n, dials := testutil.ToFloat64(l.p.opt.Metrics.Requests.Retries), h.dials.Load(); n != 0 || dials < 3 || dials > most {
		t.Errorf("%v requests were sent again, over %d connections, want none over 3 to %d", n, dials, most)
	}
}
