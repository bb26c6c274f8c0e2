package http1

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestARequestCanBeReadAgain by another reader, as it came and with all that followed it,
// wherever it began in the buffer and whatever has come since.
func TestARequestCanBeReadAgain(t *testing.T) {
	first := "GET /" + strings.Repeat("a", 3000) + " HTTP/1.1\r\nHost: h\r\n\r\n"
	second := "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nX-Long: " + strings.Repeat("x", 6000) + "\r\n\r\n"
	body, third := "some body", "GET /c HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"at once":      func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
	} {
		t.Run(name, func(t *testing.T) {
			src := wrap(strings.NewReader("\r\n" + first + second + body + third))
			r := NewReader(src, Limits{})
			defer r.Release()
			var req Request
			for range 2 {
				if err := r.ReadRequest(&req); err != nil {
					t.Fatal(err)
				}
			}
			if name == "at once" {
				_ = r.ReadAhead()
			}
			again := NewReader(src, Limits{})
			defer again.Release()
			again.ReadFirst(r.Request())
			if err := again.ReadRequest(&req); err != nil || string(req.Method) != "POST" {
				t.Fatalf("got %s, %v", req.Method, err)
			}
			got := ""
			for b := again.Body(req.Framing, req.Length); !b.Done(); {
				piece, err := b.Next()
				if got += string(piece); err != nil && !b.Done() {
					t.Fatal(err)
				}
			}
			if err := again.ReadRequest(&req); err != nil || got != body || string(req.Target) != "/c" {
				t.Errorf("got the body %q, then %s, %v", got, req.Target, err)
			}
		})
	}
}

func TestReadFirstTakesMoreThanOneBuffer(t *testing.T) {
	early := "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	rest := strings.Repeat("frames", 5000)
	r := NewReader(strings.NewReader(""), Limits{})
	defer r.Release()
	r.ReadFirst([]byte(early + rest))
	if err := r.Wait(); err != nil {
		t.Fatal(err)
	}
	var req Request
	if err := r.ReadRequest(&req); err != nil || !req.WebSocket || string(r.Unread()) != rest {
		t.Errorf("got %v and %d bytes", err, len(r.Unread()))
	}
}
