package upstream

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/http1"
	"tokenring/proxy/proxyheader"
	"tokenring/route"
)

// A duplex is one end of an in-memory connection whose directions can be closed apart
// from each other.
type duplex struct {
	net.Conn          // what is read from
	to       net.Conn // what is written to
}

func newDuplex() (a, b *duplex) {
	ar, bw := net.Pipe()
	br, aw := net.Pipe()
	return &duplex{ar, aw}, &duplex{br, bw}
}

func (d *duplex) Write(b []byte) (int, error)        { return d.to.Write(b) }
func (d *duplex) SetWriteDeadline(t time.Time) error { return d.to.SetWriteDeadline(t) }
func (d *duplex) Close() error                       { d.Conn.Close(); return d.to.Close() }

// within wants a duration between two others.
func within(t *testing.T, took, low, high time.Duration) {
	t.Helper()
	if took < low || took > high {
		t.Errorf("took %v, want %v to %v", took, low, high)
	}
}

var (
	repeatableRequest = &http1.Request{Method: []byte("GET")}
	onceRequest       = &http1.Request{Method: []byte("POST")}
)

// idleHost returns a host with one idle connection, and the host's end of that.
func idleHost(t *testing.T, says string) (*Host, net.Conn) {
	h := New(&route.Host{Gauges: new(route.Gauges)}, Config{MaxIdle: 3 * time.Second})
	near, far := newDuplex()
	c := newConn(near, http1.Limits{})
	if says != "" {
		c.Response.Fields = []http1.Field{{Name: []byte("Keep-Alive"), Value: []byte(says), Kind: http1.KindKeepAlive}}
	}
	h.Put(c)
	t.Cleanup(h.Close)
	return h, far
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, far := idleHost(t, "")
		defer far.Close()
		limit := h.cfg.MaxIdle
		begin := time.Now()
		time.Sleep(limit / 2)
		near2, far2 := newDuplex()
		defer far2.Close()
		h.Put(newConn(near2, http1.Limits{}))
		_, _ = io.ReadAll(far)
		within(t, time.Since(begin), limit, limit+time.Second)
		_, _ = io.ReadAll(far2)
		within(t, time.Since(begin), limit*3/2, limit*3/2+time.Second)
		if h.Take(repeatableRequest, proxyheader.Ends{}) != nil {
			t.Error("a closed connection is handed out")
		}
	})
}

func TestTakeGivesOnlyConnectionsThatSuitTheRequest(t *testing.T) {
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
			h, far := idleHost(t, tt.says)
			defer far.Close()
			time.Sleep(tt.idle)
			c := h.Take(tt.req, proxyheader.Ends{})
			if (c != nil) != tt.want {
				t.Errorf("%q, idle for %v, %s: got a connection: %v", tt.says, tt.idle, tt.req.Method, c != nil)
			}
			if c != nil {
				c.Close()
			}
		})
	}
}

// TestAHostThatKeepsConnectionsGetsUnrepeatableRequestsOnThem has a connection be closed for its age that was
// still open.
func TestAHostThatKeepsConnectionsGetsUnrepeatableRequestsOnThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, far := idleHost(t, "")
		defer far.Close()
		time.Sleep(h.cfg.MaxIdle + time.Second)
		near, far2 := newDuplex()
		defer far2.Close()
		h.Put(newConn(near, http1.Limits{}))
		time.Sleep(time.Second)
		c := h.Take(onceRequest, proxyheader.Ends{})
		if c == nil {
			t.Fatal("it isn't")
		}
		c.Close()
	})
}

// TestConnectionsAreUsedForTheirClientOnly, the most recently used first.
func TestConnectionsAreUsedForTheirClientOnly(t *testing.T) {
	h := New(&route.Host{Gauges: new(route.Gauges)}, Config{MaxIdle: time.Hour, SendProxy: true})
	defer h.Close()
	one := proxyheader.Ends{Client: netip.MustParseAddrPort("192.0.2.1:1")}
	two := proxyheader.Ends{Client: netip.MustParseAddrPort("192.0.2.1:2")}
	var all []*Conn
	for _, from := range []proxyheader.Ends{one, one, two} {
		near, _ := newDuplex()
		c := newConn(near, http1.Limits{})
		c.from = from
		h.Put(c)
		all = append(all, c)
	}
	for i, want := range []*Conn{all[1], all[0], nil} {
		if got := h.Take(repeatableRequest, one); got != want {
			t.Errorf("the connection %d of the first client is another one", i)
		}
	}
	if h.Take(repeatableRequest, two) != all[2] {
		t.Error("the second client doesn't get its own")
	}
	for _, c := range all {
		c.Close()
	}
}
