package proxy

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/http1"
	"tokenring/pool"
)

func TestKeepAliveShortensHowLongAConnectionMayBeIdle(t *testing.T) {
	const longest, any = 3 * time.Second, 1 << 30
	for _, tt := range []struct {
		value    string
		idle     time.Duration
		requests int
	}{
		{"timeout=5, max=100", longest, 100}, // Apache
		{"timeout=5", longest, any},          // Node
		{"timeout=3", 2 * time.Second, any},
		{"Timeout=2", time.Second, any},
		{"timeout=1", time.Second / 2, any},
		{"timeout=0", 0, any},
		{"max=0,timeout=9", longest, 0},
		{"timeout=2,timeout=1", time.Second / 2, any},
		{"timeout=99999999999999999999", longest, any},
		{"timeout=-1, max=-1", longest, any},
		{"timeout, max=x, =, ,", longest, any},
		{"", longest, any},
	} {
		fields := []http1.Field{{Name: []byte("Keep-Alive"), Value: []byte(tt.value), Kind: http1.KindKeepAlive}}
		if idle, requests := idleLimit(fields, longest); idle != tt.idle || requests != tt.requests {
			t.Errorf("%q: got %v, %d, want %v, %d", tt.value, idle, requests, tt.idle, tt.requests)
		}
	}
	if idle, requests := idleLimit(nil, longest); idle != longest || requests != any {
		t.Errorf("no field: got %v, %d", idle, requests)
	}
}

func TestTrustFollowsWhatIsSeen(t *testing.T) {
	var u trusted
	u.init()
	const ms = time.Millisecond
	for _, step := range []struct {
		open, closed, want time.Duration
	}{
		{want: 100 * ms},                     // unknown
		{open: 150 * ms, want: 100 * ms},     // nothing new
		{open: 2000 * ms, want: 1000 * ms},   // it keeps them
		{closed: 2500 * ms, want: 1000 * ms}, // as was known
		{closed: 300 * ms, want: 150 * ms},   // or not
		{closed: 20 * ms, want: 10 * ms},     // a restart
		{open: 290 * ms, want: 145 * ms},     // it keeps them again
		{open: 200 * ms, want: 145 * ms},
	} {
		if step.open > 0 {
			u.open(step.open)
		}
		if step.closed > 0 {
			u.closed(step.closed)
		}
		if got := u.idle(); got != step.want {
			t.Errorf("after %+v: got %v", step, got)
		}
	}
}

var (
	repeatableRequest = &http1.Request{Method: []byte("GET")}
	onceRequest       = &http1.Request{Method: []byte("POST")}
)

// idleUpstream returns an upstream with one idle link, and the host's end of that.
func idleUpstream(t *testing.T, says string) (*upstream, net.Conn) {
	u := newUpstream(&pool.Host{Gauges: new(pool.Gauges)}, &Config{Timeouts: Timeouts{}.WithDefaults()})
	near, far := newDuplex()
	l := newLink(near, http1.Limits{})
	if says != "" {
		l.resp.Fields = []http1.Field{{Name: []byte("Keep-Alive"), Value: []byte(says), Kind: http1.KindKeepAlive}}
	}
	u.put(l)
	t.Cleanup(u.close)
	return u, far
}

func TestIdleLinksAreClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, far := idleUpstream(t, "")
		defer far.Close()
		limit := u.maxIdle
		begin := time.Now()
		time.Sleep(limit / 2)
		near2, far2 := newDuplex()
		defer far2.Close()
		u.put(newLink(near2, http1.Limits{}))
		_, _ = io.ReadAll(far)
		within(t, time.Since(begin), limit, limit+time.Second)
		_, _ = io.ReadAll(far2)
		within(t, time.Since(begin), limit*3/2, limit*3/2+time.Second)
		if u.take(repeatableRequest) != nil {
			t.Error("a closed link is handed out")
		}
	})
}

func TestIdleLinksAreForWhatTheyAreGoodFor(t *testing.T) {
	for _, tt := range []struct {
		says string
		idle time.Duration
		req  *http1.Request
		want bool
	}{
		{"", 90 * time.Millisecond, onceRequest, true},
		{"", 110 * time.Millisecond, onceRequest, false},
		{"", 2900 * time.Millisecond, repeatableRequest, true},
		{"timeout=1", 400 * time.Millisecond, repeatableRequest, true},
		{"timeout=1", 600 * time.Millisecond, repeatableRequest, false},
		{"max=1", 0, repeatableRequest, false},
		{"timeout=0", 0, repeatableRequest, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			u, far := idleUpstream(t, tt.says)
			defer far.Close()
			time.Sleep(tt.idle)
			l := u.take(tt.req)
			if (l != nil) != tt.want {
				t.Errorf("%q, idle for %v, %s: got a link: %v", tt.says, tt.idle, tt.req.Method, l != nil)
			}
			if l != nil {
				l.close()
			}
		})
	}
}

// TestHostThatKeepsConnectionsIsTrusted has a connection be closed for its age that was
// still open.
func TestHostThatKeepsConnectionsIsTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, far := idleUpstream(t, "")
		defer far.Close()
		time.Sleep(u.maxIdle + time.Second)
		near, far2 := newDuplex()
		defer far2.Close()
		u.put(newLink(near, http1.Limits{}))
		time.Sleep(time.Second)
		l := u.take(onceRequest)
		if l == nil {
			t.Fatal("it isn't")
		}
		l.close()
	})
}

const post = "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"

func TestPostsInARowShareAConnection(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, nil, h)
	for range 50 {
		l.ask(post, 200)
		l.settled()
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

// TestHostThatSaysHowLongItWaitsIsHeeded has one that closes after a second, and says
// so.
func TestHostThatSaysHowLongItWaitsIsHeeded(t *testing.T) {
	t.Parallel()
	h := newHost(t, "a").on("/x", func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	h.closesAfter(time.Second)
	l := start(t, nil, h)
	for _, pause := range []time.Duration{0, 50, 700, 990} {
		time.Sleep(pause * time.Millisecond)
		l.ask(get("/x"), 200)
	}
	if n := testutil.ToFloat64(l.p.opt.Metrics.retries); n != 0 || h.dials.Load() != 3 {
		t.Errorf("%v requests were sent again, over %d connections, want none over 3", n, h.dials.Load())
	}
}
