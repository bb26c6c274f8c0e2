package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// endless repeats a message for ever, as a client that pipelines does. Each read
// returns at most some bytes.
type endless struct {
	message string
	at      int
	most    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.most > 0 {
		p = p[:min(e.most, len(p))]
	}
	n := copy(p, e.message[e.at:])
	e.at = (e.at + n) % len(e.message)
	return n, nil
}

func TestLimitsAreExact(t *testing.T) {
	request := func(line int, fields ...int) string {
		var raw strings.Builder
		raw.WriteString("GET /" + strings.Repeat("x", line-len("GET / HTTP/1.1")) + " HTTP/1.1\r\nHost: a\r\n")
		for _, n := range fields {
			raw.WriteString("X: " + strings.Repeat("y", n-len("X: ")) + "\r\n")
		}
		return raw.String() + "\r\n"
	}
	// A head of one line of 20 bytes, Host, and a field of 40: 22+9+42+2.
	const whole = 75
	for _, row := range []struct {
		lim  Limits
		raw  string
		want string
	}{
		{Limits{Line: 100}, request(100), ""},
		{Limits{Line: 100}, request(101), outcome(errTargetLength)},
		{Limits{Line: 100}, "\r\n" + request(100), ""},
		{Limits{Line: 100}, "\r\n" + request(101), outcome(errTargetLength)},
		{Limits{Line: 100}, request(20, 100), ""},
		{Limits{Line: 100}, request(20, 101), outcome(errLineLength)},
		{Limits{Line: 100}, strings.Repeat("x", 1000), outcome(errTargetLength)},
		{Limits{Line: 100}, strings.Repeat("x", 102) + "\n", outcome(errTargetLength)},
		{Limits{Line: 100}, strings.Repeat("x", 101) + "\n", outcome(errBareLF)},
		{Limits{Head: whole}, request(20, 40), ""},
		{Limits{Head: whole}, request(20, 40) + "GET / HT", ""},
		{Limits{Head: whole}, "\r\n\r\n" + request(20, 40), ""},
		{Limits{Head: whole - 1}, request(20, 40), outcome(errHeadLength)},
		{Limits{Head: whole - 2}, request(20, 40), outcome(errHeadLength)},
		{Limits{Head: whole - 3}, request(20, 40), outcome(errHeadLength)},
		{Limits{Head: 39, Line: 38}, request(39), outcome(errTargetLength)},
		{Limits{Head: 40, Line: 38}, request(39), outcome(errTargetLength)},
		{Limits{Head: 100}, strings.Repeat("x", 100), outcome(errTargetLength)},
		{Limits{Head: 100}, request(20, 100), outcome(errHeadLength)},
		{Limits{Fields: 3}, request(20, 9, 9), ""},
		{Limits{Fields: 2}, request(20, 9, 9), outcome(errFields)},
		{Limits{}, request(8192, 8192, 8192, 8000), ""},
		{Limits{}, request(20, 32<<10-60), ""},
		{Limits{}, request(32<<10 - 60), ""},
		{Limits{}, request(8192, 8192, 8192, 8192), outcome(errHeadLength)},
		{Limits{Head: 1 << 20, Line: 1 << 19}, request(300000, 300000), ""},
	} {
		got := sameInAllWays(t, row.raw, func(src io.Reader) string {
			r := NewReader(src, row.lim)
			defer r.Release()
			if err := r.ReadRequest(new(Request)); err != nil {
				return outcome(err)
			}
			return ""
		})
		if got != row.want {
			t.Errorf("%+v, %d bytes, %.30q: got %q, want %q", row.lim, len(row.raw), row.raw, got, row.want)
		}
	}
}

func TestIdleReaderHoldsOneSmallBuffer(t *testing.T) {
	large := "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 100)+"\r\n", 90)
	for _, raw := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		large + "Content-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + strings.Repeat("z", 50000),
		large + "Transfer-Encoding: chunked\r\n\r\nc350\r\n" + strings.Repeat("z", 50000) + "\r\n0\r\n" + strings.Repeat("X: y\r\n", 90) + "\r\n",
	} {
		r := NewReader(strings.NewReader(raw), Limits{})
		var resp Response
		if err := r.ReadResponse(&resp, []byte("GET")); err != nil {
			t.Fatal(err)
		}
		if _, err := readBody(r.Body(resp.Framing, resp.Length)); err != nil {
			t.Fatal(err)
		}
		r.Idle()
		if r.head != nil || r.now != nil && len(r.now.b) > headBuffer || cap(r.body.trailers) > 16 {
			t.Errorf("%.60q…: more than a small buffer is held", raw)
		}
		r.Release()
	}
}

// A refused head may have grown out of the buffer in which its first line was.
func TestRefusedRequestHasNoParts(t *testing.T) {
	for _, raw := range []string{
		"GET /a?b HTTP/1.1\r\nX: " + strings.Repeat("y", 9000),
		"GET /a?b HTTP/1.1\r\nHost: a\n",
		"GET /a?b HTTP/1.1\r\nHost: a",
	} {
		var req Request
		r := NewReader(strings.NewReader(raw), Limits{})
		if err := r.ReadRequest(&req); err == nil || req.Method != nil || req.Target != nil || req.Minor != 0 {
			t.Errorf("%.30q: got %v and %q %q", raw, err, req.Method, req.Target)
		}
		r.Release()
	}
}

func TestHeadersWithoutEndTakeBoundedMemory(t *testing.T) {
	for _, message := range []string{"x", "GET / HTTP/1.1\r\nX: y\r\nX: ", "\r\n", "X: y\r\n"} {
		r := NewReader(&endless{message: message}, Limits{})
		err := r.ReadRequest(new(Request))
		if _, refused := errors.AsType[*Error](err); !refused {
			t.Errorf("%q for ever: got %v, want a refusal", message, err)
		}
		if got, most := len(r.now.b), 64<<10; got > most {
			t.Errorf("%q for ever: %d bytes were buffered, want at most %d", message, got, most)
		}
		r.Release()
	}
}

func TestAHeadOutlivesItsBody(t *testing.T) {
	for _, size := range []int{0, 1, 100, 3000, 4000, 4096, 5000, 100000} {
		for _, filler := range []int{1, 2000, 3900, 4010, 7000} {
			body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
			head := "POST /path?token=secret HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", filler)
			chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\nSum: 1\r\n\r\n", size, body)
			if size == 0 {
				chunk = "0\r\nSum: 1\r\n\r\n"
			}
			stream := head + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", size, body) +
				head + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
			for _, most := range []int{0, 1, 7, 1000} {
				checkHeadOutlives(t, &endless{message: stream, most: most}, body)
			}
		}
	}
}

// checkHeadOutlives reads a few requests with the same body and compares their
// heads before and after.
func checkHeadOutlives(t *testing.T, src io.Reader, body []byte) {
	t.Helper()
	r := NewReader(src, Limits{})
	defer r.Release()
	var req Request
	for range 4 {
		if err := r.ReadRequest(&req); err != nil {
			t.Fatal(err)
		}
		before := requestText(&req)
		b := r.Body(req.Framing, req.Length)
		got, err := readBody(b)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("got a body of %d bytes and %v, want %d", len(got), err, len(body))
		}
		if after := requestText(&req); after != before {
			t.Fatalf("the head was overwritten:\n%s\n%s", before, after)
		}
		if req.Framing == Chunked && (len(b.Trailers()) != 1 || string(b.Trailers()[0].Name) != "Sum") {
			t.Fatalf("got trailers %v, want Sum", b.Trailers())
		}
	}
}

func TestWaitTellsACleanEnd(t *testing.T) {
	r := NewReader(strings.NewReader("GET"), Limits{})
	if err := r.Wait(); err != nil || r.Buffered() != 3 || string(r.Unread()) != "GET" {
		t.Errorf("got %v with %q buffered, want GET", err, r.Unread())
	}
	if err := r.Wait(); err != nil || r.Buffered() != 3 {
		t.Errorf("got %v and %d bytes, want a second Wait to change nothing", err, r.Buffered())
	}
	if err := r.ReadRequest(new(Request)); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v within a head, want unexpected EOF", err)
	}
	r.Reset(strings.NewReader(""))
	if err := r.Wait(); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	if err := r.ReadRequest(new(Request)); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}

// pauses fails with a timeout between any two bytes.
type pauses struct {
	left  string
	ready bool
}

func (p *pauses) Read(b []byte) (int, error) {
	if p.ready = !p.ready; p.ready {
		return 0, os.ErrDeadlineExceeded
	}
	if p.left == "" {
		return 0, io.EOF
	}
	n := copy(b[:1], p.left)
	p.left = p.left[n:]
	return n, nil
}

func TestReadingGoesOnAfterATimeout(t *testing.T) {
	r := NewReader(&pauses{left: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"}, Limits{})
	timeouts := 0
	retry := func(do func() error) error {
		for {
			err := do()
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			timeouts++
		}
	}
	var req Request
	if err := retry(func() error { return r.ReadRequest(&req) }); err != nil {
		t.Fatal(err)
	}
	var body []byte
	b := r.Body(req.Framing, req.Length)
	err := retry(func() error {
		part, err := b.Next()
		body = append(body, part...)
		if err == nil {
			err = os.ErrDeadlineExceeded
		}
		return err
	})
	if err != io.EOF || string(body) != "abc" || timeouts < 60 {
		t.Errorf("got %q, %v after %d timeouts, want abc and EOF after one for each byte", body, err, timeouts)
	}
}

// stalled returns neither data nor an error.
type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }

func TestASourceWithoutProgressIsAnError(t *testing.T) {
	if err := NewReader(stalled{}, Limits{}).Wait(); err != io.ErrNoProgress {
		t.Errorf("got %v, want no progress", err)
	}
}

func TestAnIdleConnectionHoldsOneSmallBuffer(t *testing.T) {
	head := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n"
	src := strings.NewReader(head + strings.Repeat("x", 50000))
	r := NewReader(src, Limits{})
	var req Request
	if err := r.ReadRequest(&req); err != nil {
		t.Fatal(err)
	}
	if _, err := readBody(r.Body(req.Framing, req.Length)); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(); err != io.EOF || r.head != nil || len(r.now.b) != headBuffer {
		t.Errorf("got %v with a head buffer %t and one of %d bytes, want EOF with one of %d", err, r.head != nil, len(r.now.b), headBuffer)
	}
	r.Release()
	if r.now != nil || r.Buffered() != 0 || r.Unread() != nil {
		t.Error("a released Reader still holds a buffer")
	}
}

func TestErrorsHoldNoBytesOfTheMessage(t *testing.T) {
	const secret = "s3cr3t"
	for _, raw := range []string{
		"GET /?token=" + secret + " \r\n\r\n",
		"GET /?token=" + secret + " HTTP/9.9\r\n\r\n",
		"GET /?token=" + secret + "# HTTP/1.1\r\n\r\n",
		"GET /?token=" + secret + " HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: " + secret + "@a\r\n\r\n",
		"GET / HTTP/1.1\r\nCookie: " + secret + "\x00\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: " + secret + "\r\n\r\n",
	} {
		err := NewReader(strings.NewReader(raw), Limits{}).ReadRequest(new(Request))
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
			t.Errorf("%q: got %v", raw, err)
		}
	}
}
