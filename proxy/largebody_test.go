package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"
)

// noise returns bytes of which no part is like another.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// large is a script that answers with body, after its first part at once.
func large(body []byte, keep bool) script {
	return func(w *wire, _ *http.Request) bool {
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))
		_, _ = w.Write(body[:len(body)/3])
		_, _ = w.Write(body[len(body)/3:])
		return keep
	}
}

func TestLargeBodiesArriveUnchanged(t *testing.T) {
	for _, size := range []int{largeBody - 1, largeBody, 3*splicedStep + 1, 9<<20 + 7} {
		body := noise(size)
		l := start(t, nil, newHost(t, "a").on("/large", large(body, true)))
		secure := start(t, speaksH2(t), newHost(t, "a").on("/large", large(body, true)))
		for range 3 {
			if a := l.dial().send(get("/large") + get("/")).want(200); a.body != string(body) {
				t.Errorf("%d bytes, plain: another body", size)
			}
			if a := secure.dialTLS().send(get("/large")).want(200); a.body != string(body) {
				t.Errorf("%d bytes, TLS: another body", size)
			}
			resp, err := secure.h2client().Get("https://" + secure.addr + "/large")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, HTTP/2: another body, %v", size, err)
			}
			resp.Body.Close()
		}
		if a := l.dial().send("GET /large HTTP/1.0\r\n\r\n").want(200); a.body != string(body) {
			t.Errorf("%d bytes, HTTP/1.0: another body", size)
		}
	}
}

func TestLargeBodiesGoOnInSmallStepsAtTheLimit(t *testing.T) {
	for range maxLargeSteps {
		largeSteps <- struct{}{}
	}
	defer func() {
		for range maxLargeSteps {
			<-largeSteps
		}
	}()
	body := noise(1 << 20)
	l := start(t, nil, newHost(t, "a").on("/large", large(body, true)))
	if a := l.dial().send(get("/large")).want(200); a.body != string(body) {
		t.Error("another body")
	}
}

// TestLargeBodyThatBreaksOff: whoever ends it is blamed, and the client is never
// told that it has the whole.
func TestLargeBodyThatBreaksOff(t *testing.T) {
	const said = 8 << 20
	cutAt := func(reset bool) script {
		return func(w *wire, _ *http.Request) bool {
			w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", said))
			_, _ = w.Write(noise(said / 2))
			if reset {
				time.Sleep(50 * time.Millisecond) // for what was sent to get there
				_ = w.Conn.(*net.TCPConn).SetLinger(0)
			}
			return false
		}
	}
	for _, secure := range []bool{false, true} {
		h := newHost(t, "a").on("/cut", cutAt(false)).on("/reset", cutAt(true)).on("/large", large(noise(32<<20), true))
		l := start(t, func(l *lab) {
			if secure {
				withTLS(t, nil)(l)
			}
		}, h)
		dial := l.dial
		if secure {
			dial = l.dialTLS
		}
		for i, path := range []string{"/cut", "/reset"} {
			if a := dial().send(get(path)).answer("GET"); a.err == nil || len(a.body) >= said {
				t.Errorf("%s: %d bytes, %v", path, len(a.body), a.err)
			}
			if end := l.logged(path)["end"]; end != endHostFailed {
				t.Errorf("%s ended by %v", path, end)
			}
			if n := l.suspects.Load(); n != int64(i+1) {
				t.Errorf("%s: the host was blamed %d times", path, n)
			}
		}
		w := dial().send(get("/large"))
		_, _ = io.CopyN(io.Discard, w.in, 1<<20)
		w.Close()
		if end := l.logged("/large")["end"]; end != endClientGone {
			t.Errorf("the client left, and it ended by %v", end)
		}
		if n := l.suspects.Load(); n != 2 {
			t.Errorf("the host was blamed for a client's leaving")
		}
		dial().send(get("/canary")).want(200)
	}
}

func TestLargeBodyTimesOutOnTheSlowSide(t *testing.T) {
	t.Parallel()
	body := noise(32 << 20)
	stalls := func(w *wire, _ *http.Request) bool {
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)))
		_, _ = w.Write(body[:1<<20])
		_, _ = w.in.ReadByte() // until the proxy has had enough
		return false
	}
	l := start(t, func(l *lab) {
		l.cfg.Timeouts.Body, l.cfg.Timeouts.Response = 300*time.Millisecond, 300*time.Millisecond
	}, newHost(t, "a").on("/large", large(body, true)).on("/stalls", stalls))
	idle := l.dial().send(get("/large"))
	if a := l.dial().send(get("/stalls")).answer("GET"); a.err == nil {
		t.Error("a host that stalls has answered")
	}
	if end := l.logged("/stalls")["end"]; end != endTimeout {
		t.Errorf("the host stalled, and it ended by %v", end)
	}
	blamed := l.suspects.Load()
	if end := l.logged("/large")["end"]; end != endTimeout {
		t.Errorf("the client stalled, and it ended by %v", end)
	}
	if blamed != 1 || l.suspects.Load() != 1 {
		t.Errorf("the host was blamed %d times, want once", l.suspects.Load())
	}
	idle.Close()
}
