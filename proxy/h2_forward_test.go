package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"tokenring/proxy/deadline"
	"tokenring/proxy/h2server"
)

// do sends a request over HTTP/2 and reads the answer to its end.
func (l *lab) do(c *http.Client, method, path string, body io.Reader, change ...func(*http.Request)) answer {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, "https://"+l.addr+path, body)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range change {
		f(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		return answer{&http.Response{}, "", err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp, string(b), err}
}

// mirrorBody is a script that answers with the body it gets, as it comes, in
// chunks.
func mirrorBody(w *wire, r *http.Request) bool {
	w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Length: " + fmt.Sprint(r.ContentLength) + "\r\n\r\n")
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			w.send(fmt.Sprintf("%x\r\n%s\r\n", n, buf[:n]))
		}
		if err != nil {
			w.send("0\r\n\r\n")
			return errors.Is(err, io.EOF)
		}
	}
}

// untold hides the length of a reader from net/http.
type untold struct{ io.Reader }

func TestHTTP2BodiesArriveWholeInBothDirections(t *testing.T) {
	l := start(t, speaksH2(t), newHost(t, "a").on("/mirror", mirrorBody))
	c := l.h2client()
	for _, size := range []int{0, 1, h2server.WholeBody - 1, h2server.WholeBody, h2server.WholeBody + 1, 5<<20 + 3} {
		want := string(bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size])
		for name, tt := range map[string]struct {
			body   io.Reader
			length string
		}{
			"with a length":    {strings.NewReader(want), fmt.Sprint(size)},
			"without a length": {untold{strings.NewReader(want)}, "-1"},
		} {
			a := l.do(c, "POST", "/mirror?token="+mark, tt.body)
			if a.StatusCode != 200 || a.err != nil || a.body != want {
				t.Errorf("%d bytes %s: got %d, %d bytes, %v", size, name, a.StatusCode, len(a.body), a.err)
			}
			if got := a.Header.Get("X-Length"); got != tt.length && size > 0 {
				t.Errorf("%d bytes %s: the host was told of %s", size, name, got)
			}
		}
	}
	if e := l.logged("/mirror"); e["protocol"] != "HTTP/2" || e["tls"] != true {
		t.Errorf("logged as %v", e)
	}
}

func TestHTTP2BodiesAreStreamed(t *testing.T) {
	l := start(t, speaksH2(t), newHost(t, "a").on("/mirror", mirrorBody))
	up, pipe := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", "https://"+l.addr+"/mirror", up)
	resp, err := l.h2client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, piece := range []string{"one", "two", "three"} {
		_, _ = io.WriteString(pipe, piece)
		b := make([]byte, len(piece))
		if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != piece {
			t.Fatalf("got %q, %v, want %q", b, err, piece)
		}
	}
	pipe.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v in the end", rest, err)
	}
}

func TestHTTP2AnswersAreFramedAsTheHostsAre(t *testing.T) {
	const zipped = "\x1f\x8b no real gzip, and nobody's to open"
	h := newHost(t, "a").
		on("/204", says("HTTP/1.1 204 No Content\r\n\r\n", true)).
		on("/304", says("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n", true)).
		on("/head", says("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Type: text/plain\r\n\r\n", true)).
		on("/empty", says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true)).
		on("/zipped", says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(zipped), zipped), true)).
		on("/cookies", says("HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok", true)).
		on("/old", says("HTTP/1.0 200 OK\r\n\r\nold", false))
	l := start(t, speaksH2(t), h)
	c := l.h2client()
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
		have         map[string]string
	}{
		{"GET", "/204", 204, "", map[string]string{"Content-Length": ""}},
		{"GET", "/304", 304, "", map[string]string{"Etag": `"x"`}},
		{"HEAD", "/head", 200, "", map[string]string{"Content-Length": "99", "Content-Type": "text/plain"}},
		{"GET", "/empty", 200, "", map[string]string{"Content-Length": "0", "Content-Type": ""}},
		{"GET", "/zipped", 200, zipped, map[string]string{"Content-Encoding": "gzip"}},
		{"GET", "/cookies", 200, "ok", map[string]string{"X-Hop": "", "Keep-Alive": "", "Connection": "", "Set-Cookie": "a=1|b=2"}},
		{"GET", "/old", 200, "old", map[string]string{"Content-Length": ""}},
		{"HEAD", "/plain", 200, "", map[string]string{"Content-Length": "13"}},
	} {
		a := l.do(c, tt.method, tt.path, nil)
		if a.StatusCode != tt.status || a.body != tt.body || a.err != nil {
			t.Errorf("%s %s: got %d %q, %v", tt.method, tt.path, a.StatusCode, a.body, a.err)
		}
		for name, want := range tt.have {
			if got := strings.Join(a.Header.Values(name), "|"); got != want {
				t.Errorf("%s %s: %s is %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
		if a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s %s: no request id", tt.method, tt.path)
		}
	}
}

func TestHTTP2InterimAnswersAndTrailersArePassedOn(t *testing.T) {
	h := newHost(t, "a").on("/t", func(w *wire, r *http.Request) bool {
		w.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		_, _ = io.Copy(io.Discard, r.Body)
		w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\nx\r\n0\r\nX-Sum: " + r.Trailer.Get("X-Up") + "\r\n\r\n")
		return true
	})
	l := start(t, speaksH2(t), h)
	var hints []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, h.Values("Link")))
		return nil
	}}
	a := l.do(l.h2client(), "POST", "/t", untold{strings.NewReader("up")}, func(r *http.Request) {
		*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
		r.Trailer = http.Header{"X-Up": {"42"}}
	})
	if a.StatusCode != 200 || a.body != "x" || a.err != nil || a.Trailer.Get("X-Sum") != "42" {
		t.Errorf("got %d %q, trailers %v, %v", a.StatusCode, a.body, a.Trailer, a.err)
	}
	if got := strings.Join(hints, "; "); got != "103 [</a>]" {
		t.Errorf("got hints %s", got)
	}
	if got := a.Header.Get("Link"); got != "" {
		t.Errorf("the hint is in the final answer: %q", got)
	}
}

func TestHTTP2EarlyAnswerToAnUploadArrives(t *testing.T) {
	h := newHost(t, "a").on("/up", says("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", true))
	l := start(t, speaksH2(t), h)
	c := l.h2client()
	for range 3 {
		up, pipe := io.Pipe()
		go func() {
			for {
				if _, err := pipe.Write(manyBytes); err != nil { // when the client has had enough of it
					return
				}
			}
		}()
		if a := l.do(c, "POST", "/up", up); a.StatusCode != 403 || a.body != "no" || a.err != nil {
			t.Errorf("got %d %q, %v", a.StatusCode, a.body, a.err)
		}
		up.Close()
		if a := l.do(c, "GET", "/next", nil); a.StatusCode != 200 {
			t.Errorf("the next one got %d, %v", a.StatusCode, a.err)
		}
	}
	if n := l.suspects.Load(); n != 0 {
		t.Errorf("the host was blamed %d times", n)
	}
}

func TestHTTP2AnswerThatIsCutNeverLooksWhole(t *testing.T) {
	reset := func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\n\r\nabc")
		_ = w.Conn.(interface{ SetLinger(int) error }).SetLinger(0)
		return false
	}
	h := newHost(t, "a").
		on("/length", says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", false)).
		on("/nothing", says("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", false)).
		on("/chunks", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false)).
		on("/chunk", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", false)).
		on("/nonsense", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", false)).
		on("/trailers", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1", false)).
		on("/reset", reset)
	l := start(t, speaksH2(t), h)
	c := l.h2client()
	for _, path := range []string{"/length", "/nothing", "/chunks", "/chunk", "/nonsense", "/trailers", "/reset"} {
		if a := l.do(c, "GET", path, nil); a.err == nil {
			t.Errorf("%s: got %d %q, which looks whole", path, a.StatusCode, a.body)
		}
		if got := l.logged(path)["end"]; got != endHostFailed {
			t.Errorf("%s: ended by %v", path, got)
		}
		if a := l.do(c, "GET", "/next", nil); a.StatusCode != 200 { // the stream ends, not the connection
			t.Errorf("%s: the next one got %d, %v", path, a.StatusCode, a.err)
		}
	}
	if got := gaugeValue(l, "lb_connections"); got != 1 {
		t.Errorf("%v connections are counted, want 1", got)
	}
}

func TestHTTP2ClientThatLeavesFreesTheHost(t *testing.T) {
	gone := make(chan error, 1)
	h := newHost(t, "a").on("/down", func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
		_, err := w.in.ReadByte()
		gone <- err
		return false
	})
	l := start(t, speaksH2(t), h)
	w := l.dialH2()
	id := w.get("/down")
	w.send(atOnce)
	for {
		f, ok := w.read()
		if !ok {
			t.Fatal(w.ended)
		}
		if _, ok := f.(*h2.DataFrame); ok {
			break
		}
	}
	w.answer(w.WriteRSTStream(id, h2.ErrCodeCancel))
	if err := <-gone; err == nil || deadline.Exceeded(err) {
		t.Errorf("the host's connection: %v, want its end", err)
	}
	if got := l.logged("/down")["end"]; got != endClientGone {
		t.Errorf("ended by %v", got)
	}
	if n := l.suspects.Load(); n != 0 {
		t.Errorf("the host was blamed %d times", n)
	}
	w.wantGet("/next")
}

func TestHTTP2BodiesOverTheLimitAreRefused(t *testing.T) {
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Limits.Body = 100 << 10
	}, newHost(t, "a"))
	c := l.h2client()
	within, over := bytes.Repeat([]byte("x"), 100<<10), bytes.Repeat([]byte("x"), 100<<10+1)
	for name, tt := range map[string]struct {
		body   io.Reader
		status int
	}{
		"within, with a length":    {bytes.NewReader(within), 200},
		"within, without a length": {untold{bytes.NewReader(within)}, 200},
		"over, with a length":      {bytes.NewReader(over), 413},
		"over, without a length":   {untold{bytes.NewReader(over)}, 413},
	} {
		if a := l.do(c, "POST", "/up", tt.body); a.StatusCode != tt.status {
			t.Errorf("%s: got %d %.80q, %v, want %d", name, a.StatusCode, a.body, a.err, tt.status)
		}
	}
	if n := l.suspects.Load(); n != 0 {
		t.Errorf("the host was blamed %d times", n)
	}
}

func TestHTTP2RedirectLeavesTheTokenOut(t *testing.T) {
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.listener.Redirect = "8443"
	}, newHost(t, "a"))
	c := l.h2client()
	for _, tt := range []struct {
		method, path, location string
		status                 int
	}{
		{"GET", "/a?b=c", "https://127.0.0.1:8443/a?b=c", 301},
		{"GET", "/a?token=" + mark + "&b=c", "https://127.0.0.1:8443/a?b=c", 307},
		{"POST", "/a", "https://127.0.0.1:8443/a", 308},
	} {
		a := l.do(c, tt.method, tt.path, strings.NewReader(""))
		if a.StatusCode != tt.status || a.Header.Get("Location") != tt.location {
			t.Errorf("%s %s: got %d to %q", tt.method, tt.location, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

func TestHTTP2FailuresOfHostsAreAnswered(t *testing.T) {
	t.Parallel()
	silent := make(chan bool)
	h := newHost(t, "a").
		on("/nonsense", says("nonsense\r\n\r\n", false)).
		on("/101", says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false)).
		on("/silent", func(*wire, *http.Request) bool { <-silent; return false })
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Timeouts.Response = 200 * time.Millisecond
	}, h)
	c := l.h2client()
	for path, want := range map[string]int{"/nonsense": 502, "/101": 502, "/silent": 504} {
		if a := l.do(c, "GET", path+"?token="+mark, nil); a.StatusCode != want || a.err != nil || strings.Contains(a.body, mark) {
			t.Errorf("%s: got %d %.80q, %v, want %d", path, a.StatusCode, a.body, a.err, want)
		}
	}
	close(silent)
	l.hosts = nil
	l.use()
	if a := l.do(c, "GET", "/nobody", nil); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("without a host: got %d %v, %v", a.StatusCode, a.Header, a.err)
	}
}

func TestHTTP2UploadThatStallsTimesOut(t *testing.T) {
	t.Parallel()
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Timeouts.Body = time.Second
	}, newHost(t, "a"))
	w := l.dialH2()
	for _, sent := range []int{0, 5, h2server.WholeBody + 5} {
		id := open(w, "/up")
		w.check(w.WriteData(id, false, manyBytes[:min(sent, 16<<10)]))
		if more := sent - 16<<10; more > 0 {
			w.check(w.WriteData(id, false, manyBytes[:more]))
		}
		w.send(atOnce)
		if r := w.reply(id); r.end == "" && r.status() < "400" {
			t.Errorf("after %d bytes: got %s", sent, r)
		}
		w.wantGet("/next")
	}
	if n := l.suspects.Load(); n != 0 {
		t.Errorf("the host was blamed %d times", n)
	}
}
