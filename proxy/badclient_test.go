package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRefusedRequestsNeverReachAHost(t *testing.T) {
	long := strings.Repeat("x", 33000)
	for name, tt := range map[string]struct {
		head   string
		status int
	}{
		"no host":       {"GET /?token=s3cr3t HTTP/1.1\r\n\r\n", 400},
		"two hosts":     {"GET /?token=s3cr3t HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		"bare LF":       {"GET /?token=s3cr3t HTTP/1.1\nHost: a\n\n", 400},
		"smuggling":     {"POST /?token=s3cr3t HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"fold":          {"GET / HTTP/1.1\r\nHost: a\r\nX: s3cr3t\r\n b\r\n\r\n", 400},
		"space":         {"GET / HTTP/1.1\r\nHost: a\r\nX : s3cr3t\r\n\r\n", 400},
		"TLS hello":     {"\x16\x03\x01\x02\x00\x01", 400},
		"long target":   {"GET /?token=s3cr3t" + long + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		"long field":    {"GET /?token=s3cr3t HTTP/1.1\r\nHost: a\r\nX: " + long + "\r\n\r\n", 431},
		"many fields":   {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: s3cr3t\r\n", 101) + "\r\n", 431},
		"large head":    {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+long[:8000]+"\r\n", 5) + "\r\n", 431},
		"CONNECT":       {"CONNECT s3cr3t:443 HTTP/1.1\r\nHost: s3cr3t:443\r\n\r\n", 501},
		"HTTP/2":        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"expectation":   {"GET / HTTP/1.1\r\nHost: a\r\nExpect: s3cr3t\r\n\r\n", 417},
		"old WebSocket": {strings.Replace(upgrade("/", mark), "13", "8", 1), 426},
		"large body":    {"POST /?token=s3cr3t HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "a")
			l := start(t, func(l *lab) { l.cfg.Limits.Body = 1000 }, h)
			a := l.ask(tt.head, tt.status)
			if !a.Close || a.Header.Get("X-Request-Id") == "" {
				t.Errorf("got %v", a.Header)
			}
			if tt.status == 426 && a.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("got %v", a.Header)
			}
			if got := h.received(); got != "" {
				t.Errorf("the host got %q", got)
			}
			l.canary()
		})
	}
}

func TestRefusalShowsNothingOfTheFormerRequest(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.Timeouts.Head = 40 * time.Millisecond }, newHost(t, "a"))
	for _, second := range []string{"\x00", "GET /?token=" + mark + mark + mark} { // refused, and too slow
		w := l.dial().send("HEAD /first HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n")
		w.answer("HEAD")
		w.send(second)
		a := w.answer("GET")
		if a.err != nil || !strings.HasPrefix(a.body, "{") || a.StatusCode < 400 {
			t.Errorf("got %d %q, %v", a.StatusCode, a.body, a.err)
		}
	}
	if e := l.logged(""); e["status"] != 408.0 || e["method"] == "HEAD" {
		t.Errorf("the log says %v", e)
	}
}

func TestSlowClientsGet408(t *testing.T) {
	t.Parallel()
	h := newHost(t, "a")
	l := start(t, func(l *lab) { l.cfg.Timeouts.Head, l.cfg.Timeouts.Body = 500*time.Millisecond, 500*time.Millisecond }, h)
	l.ask("GET /?token="+mark+" HTTP/1.1\r\nHo", 408)
	l.ask("POST /?token="+mark+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", 408)
	l.ask("POST /?token="+mark+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", 408)
	w := l.dial() // says nothing at all
	w.expectEnd()
	l.canary()
	if l.suspects.Load() != 0 {
		t.Error("the host is suspected")
	}
}

func TestTruncatedUploadNeverLooksWhole(t *testing.T) {
	const length, chunked = "Content-Length: 6\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"
	for _, sent := range []string{
		length, length + "abc", chunked, chunked + "6", chunked + "6\r\n", chunked + "6\r\nabc",
		chunked + "3\r\nabc\r\n", chunked + "3\r\nabc\r\n0\r\n", chunked + "3\r\nabc\r\n0\r\nX: y\r\n",
	} {
		t.Run(sent, func(t *testing.T) {
			result := make(chan error, 1)
			h := newHost(t, "a").on("/up", func(w *wire, r *http.Request) bool {
				_, err := io.ReadAll(r.Body)
				result <- err
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				return false
			})
			l := start(t, nil, h)
			w := l.dial().send("POST /up?token=" + mark + " HTTP/1.1\r\nHost: x\r\n" + sent)
			_ = w.Conn.(*net.TCPConn).CloseWrite()
			w.expectEnd()
			l.canary()
			h.stop() // waits for its scripts
			select {
			case err := <-result:
				if err == nil {
					t.Error("the host took the body for whole")
				}
			default: // nothing has reached it
			}
			if e := l.logged("/up"); e["end"] != "client-gone" || l.suspects.Load() != 0 {
				t.Errorf("the log says %v, %d suspicions", e, l.suspects.Load())
			}
		})
	}
}

func TestMalformedChunkEndsTheUpload(t *testing.T) {
	for _, first := range []string{"", "3\r\nabc\r\n"} {
		result := make(chan error, 1)
		h := newHost(t, "a").on("/up", func(w *wire, r *http.Request) bool {
			_, err := io.ReadAll(r.Body)
			result <- err
			return false
		})
		l := start(t, nil, h)
		l.ask("POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+first+"zz\r\n", 400)
		if first != "" {
			if err := <-result; err == nil {
				t.Error("the host took the body for whole")
			}
		}
		l.canary()
	}
}

func TestChunkedBodyOverTheLimitIsRefused(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.Limits.Body = 10 }, newHost(t, "a"))
	const head = "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
	l.ask(head+"5\r\nabcde\r\n0\r\n\r\n", 200)
	l.ask(head+"6\r\nabcdef\r\n0\r\n\r\n", 413)
	l.canary()
}

func TestClientThatVanishesFreesTheHost(t *testing.T) {
	gone := make(chan bool)
	h := newHost(t, "a").on("/endless", func(w *wire, r *http.Request) bool {
		defer close(gone)
		w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			if _, err := io.WriteString(w.Conn, "400\r\n"+strings.Repeat("x", 0x400)+"\r\n"); err != nil {
				return false
			}
		}
	})
	l := start(t, nil, h)
	w := l.dial().send(get("/endless"))
	w.expect("HTTP/1.1 200 OK\r\n")
	w.Close()
	<-gone
	if e := l.logged("/endless"); e["end"] != "client-gone" || l.suspects.Load() != 0 {
		t.Errorf("the log says %v", e)
	}
}

func TestClientThatTakesNothingIsCutOff(t *testing.T) {
	gone := make(chan bool)
	h := newHost(t, "a").on("/endless", func(w *wire, r *http.Request) bool {
		defer close(gone)
		w.send("HTTP/1.1 200 OK\r\n\r\n")
		for {
			if _, err := io.WriteString(w.Conn, strings.Repeat("x", 1<<16)); err != nil {
				return false
			}
		}
	})
	l := start(t, func(l *lab) { l.cfg.Timeouts.Body = 50 * time.Millisecond }, h)
	w := l.dial().send("GET /endless HTTP/1.0\r\n\r\n")
	<-gone
	if e := l.logged("/endless"); e["end"] != "timeout" {
		t.Errorf("the log says %v", e)
	}
	if _, err := io.Copy(io.Discard, w.in); err == nil {
		t.Error("the part of the answer looks whole")
	}
}

func TestEarlyAnswerSurvivesTheRestOfTheUpload(t *testing.T) {
	const total = 4 << 20
	answered := make(chan bool)
	h := newHost(t, "a").on("/no", func(w *wire, r *http.Request) bool {
		w.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("n", 100000))
		<-answered // else the host's own reset, for what it hasn't read, might destroy it
		return false
	})
	l := start(t, nil, h)
	for range 5 {
		w := l.dial().send(fmt.Sprintf("POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", total))
		_, _ = io.WriteString(w.Conn, strings.Repeat("x", total)) // all of it, before reading a byte
		if a := w.want(403); len(a.body) != 100000 {
			t.Errorf("got %d bytes", len(a.body))
		}
		answered <- true
		w.expectCleanEnd()
		w.Close()
	}
	l.canary()
}

func TestPipelinedBytesBehindALastRequestDontDestroyItsAnswer(t *testing.T) {
	l := start(t, nil, newHost(t, "a"))
	for range 20 {
		w := l.dial().send("GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + strings.Repeat(get("/behind"), 500))
		w.want(200)
		w.expectCleanEnd()
	}
}
