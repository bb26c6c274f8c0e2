package http1

import (
	"io"
	"strings"
	"testing"
)

const (
	browserRequest = "GET /environment/assets/main.js?token=6f1ed002ab5595859014ebf0951522d9 HTTP/1.1\r\n" +
		"Host: ide.example.com\r\nConnection: keep-alive\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
		"Sec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\n" +
		"Referer: https://ide.example.com/environment\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n"
	plainResponse = "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nServer: ide\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 13\r\nConnection: keep-alive\r\nETag: \"abc\"\r\n\r\nHello, world\n"
)

// upload is a request with a long chunked body and a trailer.
var upload = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
	strings.Repeat("1000\r\n"+strings.Repeat("x", 4096)+"\r\n", 8) + "0\r\nX-Sum: 1\r\n\r\n"

func drain(b *Body) error {
	for {
		if _, err := b.Next(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// exchange returns a function that reads one request with its body from a connection
// that repeats the request for ever.
func exchange(message string) func() error {
	r := NewReader(&endless{message: message, most: len(message)}, Limits{})
	req := new(Request)
	return func() error {
		if err := r.Wait(); err != nil {
			return err
		}
		if err := r.ReadRequest(req); err != nil {
			return err
		}
		return drain(r.Body(req.Framing, req.Length))
	}
}

func answer(message string) func() error {
	r := NewReader(&endless{message: message, most: len(message)}, Limits{})
	resp, method := new(Response), []byte("GET")
	return func() error {
		if err := r.ReadResponse(resp, method); err != nil {
			return err
		}
		return drain(r.Body(resp.Framing, resp.Length))
	}
}

func TestMessagesAreReadWithoutAllocation(t *testing.T) {
	if raced {
		t.Skip("pools are lossy under the race detector")
	}
	large := "POST / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", 6000) + "\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("z", 30000)
	for name, read := range map[string]func() error{
		"request":  exchange(browserRequest),
		"upload":   exchange(upload),
		"large":    exchange(large),
		"response": answer(plainResponse),
	} {
		if err := read(); err != nil { // which fills the pools
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(200, func() {
			if err := read(); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

func TestHeadsAreWrittenWithoutAllocation(t *testing.T) {
	var req Request
	if err := NewReader(strings.NewReader(browserRequest), Limits{}).ReadRequest(&req); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendRequestLine(dst[:0], req.Method, req.Target)
		for i := range req.Fields {
			dst = AppendField(dst, req.Fields[i].Name, req.Fields[i].Value)
		}
		dst = AppendStatusLine(dst, 200, nil)
		dst = AppendChunkHeader(dst, 4096)
		dst = AppendLastChunk(dst, req.Fields[:1])
	}); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkRequest(b *testing.B)  { benchmark(b, exchange(browserRequest), len(browserRequest)) }
func BenchmarkResponse(b *testing.B) { benchmark(b, answer(plainResponse), len(plainResponse)) }
func BenchmarkChunked(b *testing.B)  { benchmark(b, exchange(upload), len(upload)) }

func benchmark(b *testing.B, read func() error, size int) {
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if err := read(); err != nil {
			b.Fatal(err)
		}
	}
}
