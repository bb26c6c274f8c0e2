package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRequestsOnOneConnectionAreAnsweredInOrder(t *testing.T) {
	l := start(t, nil, newHost(t, "a"))
	w := l.dial()
	for i := range 3 {
		w.send(get(fmt.Sprintf("/%d?token=%s", i, mark)))
		if a := w.want(200); a.body != fmt.Sprintf("a GET /%d", i) {
			t.Errorf("got %q", a.body)
		}
	}
	var all strings.Builder
	for i := range 20 {
		all.WriteString(get(fmt.Sprintf("/p%d", i)))
		all.WriteString(fmt.Sprintf("POST /q%d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", i))
	}
	w.send(all.String())
	for i := range 20 {
		if a := w.want(200); a.body != fmt.Sprintf("a GET /p%d", i) {
			t.Fatalf("got %q", a.body)
		}
		if a := w.want(200); a.body != fmt.Sprintf("a POST /q%d", i) {
			t.Fatalf("got %q", a.body)
		}
	}
}

func TestConnectionsToHostsAreReused(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, nil, h)
	for range 5 {
		l.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", 200)
		l.waitUntilIdle()
		l.ask(get("/"), 200)
		l.waitUntilIdle()
	}
	if n := h.dials.Load(); n != 1 {
		t.Errorf("got %d connections to the host, want 1", n)
	}
}

func TestRequestBodiesAreStreamed(t *testing.T) {
	for _, tt := range []struct{ name, head, first, second string }{
		{"length", "Content-Length: 6", "abc", "def"},
		{"chunked", "Transfer-Encoding: chunked", "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			arrived := make(chan string)
			h := newHost(t, "a").on("/up", func(w *wire, r *http.Request) bool {
				b := make([]byte, 3)
				_, _ = io.ReadFull(r.Body, b)
				arrived <- string(b)
				rest, err := io.ReadAll(r.Body)
				w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%s", rest))
				return err == nil
			})
			l := start(t, nil, h)
			w := l.dial().send("POST /up HTTP/1.1\r\nHost: x\r\n" + tt.head + "\r\n\r\n" + tt.first)
			if got := <-arrived; got != "abc" {
				t.Errorf("got %q", got)
			}
			if a := w.send(tt.second).want(200); a.body != "def" {
				t.Errorf("got %q", a.body)
			}
			w.send(get("/next")).want(200)
		})
	}
}

func TestResponseBodiesAreStreamed(t *testing.T) {
	for _, tt := range []struct{ name, head, first, second string }{
		{"length", "Content-Length: 6\r\n", "abc", "def"},
		{"chunked", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"},
		{"until close", "", "abc", "def"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := make(chan bool)
			h := newHost(t, "a").on("/down", func(w *wire, r *http.Request) bool {
				w.send("HTTP/1.1 200 OK\r\n" + tt.head + "\r\n" + tt.first)
				<-seen
				w.send(tt.second)
				return false
			})
			l := start(t, nil, h)
			w := l.dial().send(get("/down"))
			resp, err := http.ReadResponse(w.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 3)
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "abc" {
				t.Errorf("got %q, %v", b, err)
			}
			close(seen)
			if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "def" {
				t.Errorf("got %q, %v", rest, err)
			}
			w.send(get("/next")).want(200)
		})
	}
}

func TestConnectionIsUsableAfterAnswersWithoutABody(t *testing.T) {
	h := newHost(t, "a").
		on("/204", says("HTTP/1.1 204 No Content\r\n\r\n", true)).
		on("/304", says("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n", true)).
		on("/head", says("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", true)).
		on("/headchunked", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true))
	l := start(t, nil, h)
	w := l.dial()
	for _, path := range []string{"/204", "/304"} {
		if a := w.send(get(path)).answer("GET"); "/"+fmt.Sprint(a.StatusCode) != path || a.body != "" || a.err != nil {
			t.Errorf("%s: got %v", path, a)
		}
	}
	for _, path := range []string{"/head", "/headchunked"} {
		a := w.send("HEAD " + path + " HTTP/1.1\r\nHost: x\r\n\r\n").answer("HEAD")
		if a.StatusCode != 200 || path == "/head" && a.Header.Get("Content-Length") != "99" {
			t.Errorf("%s: got %v", path, a)
		}
	}
	w.send(get("/next")).want(200)
	if n := h.dials.Load(); n != 1 {
		t.Errorf("got %d connections to the host, want 1", n)
	}
}

func TestInterimAnswersArePassedOn(t *testing.T) {
	h := newHost(t, "a").on("/hints", says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", true))
	l := start(t, nil, h)
	w := l.dial().send(get("/hints"))
	w.expect("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n")
	w10 := l.dial().send("GET /hints HTTP/1.0\r\n\r\n")
	w10.expect("HTTP/1.1 204 No Content\r\n")
}

func TestExpectContinueWaitsForTheHost(t *testing.T) {
	const head = "POST /up HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	h := newHost(t, "a").on("/up", func(w *wire, r *http.Request) bool {
		w.send("HTTP/1.1 100 Continue\r\n\r\n")
		b, _ := io.ReadAll(r.Body)
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + string(b))
		return true
	})
	l := start(t, nil, h)
	w := l.dial().send(head)
	w.expect("HTTP/1.1 100 Continue\r\n\r\n")
	if a := w.send("hello").want(200); a.body != "hello" {
		t.Errorf("got %q", a.body)
	}
	w.send(get("/next")).want(200)
	for _, status := range []int{413, 417} {
		h.on("/up", says(fmt.Sprintf("HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno", status), true))
		w := l.dial().send(head)
		if a := w.want(status); !a.Close || a.body != "no" {
			t.Errorf("got %v, want a last answer", a)
		}
		w.expectEnd()
	}
	l.canary()
}

func TestTrailersArePassedOnInBothDirections(t *testing.T) {
	h := newHost(t, "a").on("/t", func(w *wire, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\nx\r\n0\r\nX-Sum: " + r.Trailer.Get("X-Up") + "\r\n\r\n")
		return true
	})
	l := start(t, nil, h)
	w := l.dial().send("POST /t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Up\r\n\r\n2\r\nhi\r\n0\r\nX-Up: 42\r\n\r\n")
	if a := w.want(200); a.Trailer.Get("X-Sum") != "42" {
		t.Errorf("got trailers %v", a.Trailer)
	}
}

func TestHTTP10ClientsGetNoChunks(t *testing.T) {
	h := newHost(t, "a").on("/c", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", true))
	l := start(t, nil, h)
	w := l.dial().send("GET /c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	all, err := io.ReadAll(w.in)
	if s := string(all); err != nil || !strings.HasSuffix(s, "\r\n\r\nabc") || strings.Contains(s, "hunked") || !strings.Contains(s, "Connection: close") {
		t.Errorf("got %q, %v", all, err)
	}
	if s := h.received(); strings.Contains(s, "X-Forwarded-Host") || !strings.Contains(s, "\r\nHost: "+h.ln.Addr().String()+"\r\n") {
		t.Errorf("the host got %q", s)
	}
}

func TestAnswersOfHTTP10HostsAreRelayed(t *testing.T) {
	h := newHost(t, "a").
		on("/old", says("HTTP/1.0 200 OK\r\n\r\nabc", false)).
		on("/keep", says("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", true))
	l := start(t, nil, h)
	w := l.dial()
	for _, path := range []string{"/keep", "/keep", "/old"} {
		if a := w.send(get(path)).want(200); a.body != "abc" || a.Close {
			t.Errorf("%s: got %v", path, a)
		}
	}
	if n := h.dials.Load(); n != 1 {
		t.Errorf("got %d connections to the host, want 1", n)
	}
}

func TestLargeBodiesArriveWhole(t *testing.T) {
	const size = 3 << 20
	h := newHost(t, "a").on("/echo", func(w *wire, r *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		out := bufio.NewWriter(w)
		b := make([]byte, 50000)
		for {
			n, err := r.Body.Read(b)
			if n > 0 {
				fmt.Fprintf(out, "%x\r\n%s\r\n", n, b[:n])
			}
			if err != nil {
				break
			}
		}
		fmt.Fprint(out, "0\r\n\r\n")
		return out.Flush() == nil
	})
	l := start(t, nil, h)
	want := strings.Repeat("0123456789abcdef", size/16)
	w := l.dial()
	go w.send(fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size, want))
	if a := w.want(200); a.body != want {
		t.Errorf("got %d bytes, want %d", len(a.body), len(want))
	}
}

// TestAnswersWithoutADateGetOne: RFC 9110 §6.6.1 wants it of who passes them on.
func TestAnswersWithoutADateGetOne(t *testing.T) {
	h := newHost(t, "a").on("/bare", says("HTTP/1.1 204 No Content\r\n\r\n", true))
	l := start(t, speaksH2(t), h)
	for name, got := range map[string]http.Header{
		"HTTP/1.1": l.dialTLS().send(get("/bare")).want(204).Header,
		"HTTP/2":   l.do(l.h2client(), "GET", "/bare", nil).Header,
	} {
		if at, err := http.ParseTime(got.Get("Date")); err != nil || time.Since(at) > time.Minute || len(got["Date"]) != 1 {
			t.Errorf("%s: Date is %q, %v", name, got["Date"], err)
		}
	}
}
