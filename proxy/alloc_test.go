//go:build !race

package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// The race detector drops some of what is put into a sync.Pool, so allocations
// can't be counted under it: hence the build tag.

// steadyGet is what a browser sends, more or less.
const steadyGet = "GET /steady/app.js?v=3&token=" + mark + " HTTP/1.1\r\nHost: ide.example\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: */*\r\nAccept-Language: en\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n" +
	"Cookie: a=b; c=d\r\nReferer: https://ide.example/\r\n\r\n"

const steadyAnswer = "HTTP/1.1 200 OK\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nServer: ide\r\n" +
	"Content-Type: text/javascript\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\nhello"

// TestARequestAllocatesNothing guards the steady state of a connection: all that
// a request goes through, from the client's socket to the host's and back, lives
// in memory that was there before it. The client and the host of this test
// allocate nothing either.
func TestARequestAllocatesNothing(t *testing.T) {
	discard := zerolog.New(io.Discard)
	for _, tt := range []struct {
		name   string
		tls    bool
		access *zerolog.Logger
		bound  float64
		most   float64 // allocations for each request
	}{
		{"plain", false, nil, 0, 0.05},
		{"TLS", true, nil, 0, 2.05}, // crypto/tls makes a small reader for each record, here at either end
		{"plain, with an access log", false, &discard, 0, 0.05},
		{"plain, with bounded loads", false, nil, 1.25, 0.05},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, "a").on("/steady/app.js", answersOnAndOn)
			change := func(*lab) {}
			if tt.tls {
				change = withTLS(t, nil)
			}
			l := start(t, func(l *lab) { change(l); l.bound = tt.bound }, h)
			l.p.access.Out = tt.access // before there is a connection
			dial := l.dial
			if tt.tls {
				dial = l.dialTLS
			}
			c := newSteadyClient(dial())
			c.ask(t, 500)
			const n = 5000
			each := float64(mallocs(func() { c.ask(t, n) })) / n
			t.Logf("%.4f allocations for each request", each)
			if each > tt.most {
				t.Errorf("%.4f allocations for each request, want up to %v", each, tt.most)
			}
		})
	}
}

// mallocs counts what all goroutines allocate while do runs.
func mallocs(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// A steadyClient sends one request again and again, and allocates nothing.
type steadyClient struct {
	nc           net.Conn
	request, buf []byte
	end          []byte // of an answer
}

func newSteadyClient(w *wire) *steadyClient {
	_ = w.SetDeadline(time.Now().Add(time.Minute))
	return &steadyClient{nc: w.Conn, request: []byte(steadyGet), buf: make([]byte, 4096), end: []byte("\r\n\r\nhello")}
}

func (c *steadyClient) ask(t *testing.T, n int) {
	for range n {
		if _, err := c.nc.Write(c.request); err != nil {
			t.Fatal(err)
		}
		if err := readUntil(c.nc, c.buf, c.end); err != nil {
			t.Fatal(err)
		}
	}
}

// answersOnAndOn is a script that gives each request on its connection the same
// answer, and allocates nothing.
func answersOnAndOn(w *wire, _ *http.Request) bool {
	_ = w.SetDeadline(time.Now().Add(time.Minute))
	answer, buf, end := []byte(steadyAnswer), make([]byte, 4096), []byte("\r\n\r\n")
	for {
		if _, err := w.Conn.Write(answer); err != nil {
			return false
		}
		if readUntil(w.Conn, buf, end) != nil {
			return false
		}
	}
}

// readUntil reads into buf until what has come ends with end.
func readUntil(nc net.Conn, buf, end []byte) error {
	for got := 0; !bytes.HasSuffix(buf[:got], end); {
		n, err := nc.Read(buf[got:])
		if err != nil {
			return err
		}
		got += n
	}
	return nil
}
