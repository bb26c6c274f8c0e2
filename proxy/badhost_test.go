package proxy

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestMalformedAnswersBecome502(t *testing.T) {
	for name, raw := range map[string]string{
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
		"other framing":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"bad status line":  "HTTP/1.1 2000 OK\r\n\r\n",
		"not HTTP":         "SSH-2.0-OpenSSH\r\n",
		"101 unasked":      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"control in value": "HTTP/1.1 200 OK\r\nTransfer-Encoding: \x00chunked\r\n\r\n",
		"103 with length":  "HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\nabc",
		"huge head":        "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 4000)+"\r\n", 17) + "\r\n",
		"nothing":          "",
		"cut in head":      "HTTP/1.1 200 OK\r\nContent-Le",
		"cut after 103":    "HTTP/1.1 103 Early Hints\r\n\r\n",
		"no chunk":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n",
		"cut in a size":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r",
		"chunk of 2^64":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "a").on("/bad", says(raw, false))
			l := start(t, nil, h)
			w := l.dial().send(get("/bad?token=" + mark))
			if name == "cut after 103" {
				w.expect("HTTP/1.1 103 Early Hints\r\n\r\n")
			}
			if a := w.want(502); !strings.Contains(a.body, "request_id") || a.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got %v %q", a.Header, a.body)
			}
			if a := w.send(get("/next")).want(200); a.body != "a GET /next" {
				t.Errorf("got %q", a.body)
			}
			l.canary()
			if l.suspects.Load() != 1 {
				t.Errorf("got %d suspicions, want 1", l.suspects.Load())
			}
		})
	}
}

// cuts are answers that stop too early, by whom the client can tell.
var cuts = map[string]string{
	"length":            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
	"chunked":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	"in a chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
	"in a size":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1",
	"before last":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
	"malformed chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
	"malformed trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nbad trailer\r\n\r\n",
}

func TestAnswerThatIsCutNeverLooksWhole(t *testing.T) {
	for name, raw := range cuts {
		for _, version := range []string{"1.1", "1.0"} {
			t.Run(name+" "+version, func(t *testing.T) {
				h := newHost(t, "a").on("/cut", says(raw, false))
				l := start(t, nil, h)
				w := l.dial().send("GET /cut HTTP/" + version + "\r\nHost: x\r\n\r\n")
				if a := w.answer("GET"); a.err == nil {
					t.Errorf("got %d %q, which looks whole", a.StatusCode, a.body)
				}
				l.canary()
				if e := l.logged("/cut"); e["end"] != "host-failed" {
					t.Errorf("the log says %v", e)
				}
			})
		}
	}
}

func TestUntilCloseThatIsResetNeverLooksWhole(t *testing.T) {
	seen := make(chan bool)
	h := newHost(t, "a").on("/cut", func(w *wire, r *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\n\r\nabc")
		<-seen
		_ = w.Conn.(*net.TCPConn).SetLinger(0)
		return false
	})
	l := start(t, nil, h)
	for _, version := range []string{"1.1", "1.0"} {
		w := l.dial().send("GET /cut HTTP/" + version + "\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(w.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(resp.Body, make([]byte, 3))
		seen <- true
		if rest, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("HTTP/%s: got %q, which looks whole", version, rest)
		}
	}
	l.canary()
}

func TestSlowHostsTimeOut(t *testing.T) {
	t.Parallel()
	hang := func(raw string) script {
		return func(w *wire, r *http.Request) bool {
			w.send(raw)
			_, _ = io.Copy(io.Discard, w.in)
			return false
		}
	}
	h := newHost(t, "a").on("/head", hang("HTTP/1.1 200")).on("/none", hang("")).
		on("/body", hang("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"))
	l := start(t, func(l *lab) { l.cfg.Timeouts.Response = 200 * time.Millisecond }, h)
	w := l.dial()
	for _, path := range []string{"/none", "/head"} {
		w.send(get(path)).want(504)
		w.expectEnd()
		w = l.dial()
	}
	if a := w.send(get("/body")).answer("GET"); a.err == nil {
		t.Errorf("got %q, which looks whole", a.body)
	}
	w.Close()
	l.dial().send(upgrade("/none", mark)).want(504)
	l.canary()
}

func TestSlowClientIsNotCountedAsAFailureOfTheHost(t *testing.T) {
	t.Parallel()
	h := newHost(t, "a")
	l := start(t, func(l *lab) { l.cfg.Timeouts.Response = 2 * time.Second }, h)
	w := l.dial().send("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
	passed := time.After(2500 * time.Millisecond)
	<-passed
	w.send("cd").want(200)
	if l.suspects.Load() != 0 {
		t.Error("the host is suspected")
	}
}
