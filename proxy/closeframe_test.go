package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/proxy/tunnel"
	"tokenring/route"
)

// endings are the ways in which a balancer ends terminals, and the codes that clients get.
var endings = map[string]struct {
	end  func(*testing.T, *lab)
	code websocket.StatusCode
}{
	"maint": {func(_ *testing.T, l *lab) {
		l.hosts[0].State = route.Maint
		l.use()
	}, websocket.StatusGoingAway},
	"moved":    {func(t *testing.T, l *lab) { l.moveTo(newHost(t, "a")) }, websocket.StatusGoingAway},
	"shutdown": {func(_ *testing.T, l *lab) { l.cancel() }, websocket.StatusServiceRestart},
	"upgrade":  {func(t *testing.T, l *lab) { l.p.CloseTunnels(t.Context(), 1000, tunnel.ByUpgrade) }, websocket.StatusServiceRestart},
}

// eachEnding runs a test for each way to end terminals, in plain text and over TLS.
func eachEnding(t *testing.T, test func(t *testing.T, end func(), code websocket.StatusCode, h *wsHost, c *websocket.Conn)) {
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			bothWebSockets(t, func(t *testing.T, l *lab, h *wsHost, c *websocket.Conn) {
				l.p.cfg.ShutdownGrace = 50 * time.Millisecond
				test(t, func() { ending.end(t, l) }, ending.code, h, c)
				if e := l.logged("/ws"); e["end"] != name {
					t.Errorf("the log says %v, want the end %s", e, name)
				}
			})
		})
	}
}

func echoOnce(t *testing.T, c *websocket.Conn) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := c.Read(t.Context()); err != nil || string(b) != "hello" {
		t.Fatalf("got %q, %v", b, err)
	}
}

func TestAnIdleTerminalThatWeEndGetsACloseFrame(t *testing.T) {
	eachEnding(t, func(t *testing.T, end func(), code websocket.StatusCode, h *wsHost, c *websocket.Conn) {
		echoOnce(t, c)
		end()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != code {
			t.Errorf("the client got %v, want %d", err, code)
		}
		if err := <-h.ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("the host got %v, want 1001", err)
		}
	})
}

// TestABusyTerminalThatWeEndGetsACloseFrame has a client that always waits for an echo.
func TestABusyTerminalThatWeEndGetsACloseFrame(t *testing.T) {
	eachEnding(t, func(t *testing.T, end func(), code websocket.StatusCode, h *wsHost, c *websocket.Conn) {
		echoOnce(t, c)
		ended := make(chan error)
		go func() {
			for {
				_ = c.Write(t.Context(), websocket.MessageText, make([]byte, 1000)) // the read tells the error
				if _, _, err := c.Read(t.Context()); err != nil {
					ended <- err
					return
				}
			}
		}()
		end()
		select {
		case err := <-ended:
			if websocket.CloseStatus(err) != code {
				t.Errorf("the client got %v, want %d", err, code)
			}
		case <-time.After(10 * time.Second):
			t.Error("the terminal is open")
		}
		<-h.ended
	})
}

// TestATerminalInTheMiddleOfAFrameGetsNoCloseFrame: each direction is looked at by itself.
func TestATerminalInTheMiddleOfAFrameGetsNoCloseFrame(t *testing.T) {
	const whole, part = "\x81\x02hi", "\x81\x7e\x01"
	const masked, maskedPart = "\x81\x82\x00\x00\x00\x00hi", "\x81\x85\x00"
	for name, row := range map[string]struct{ fromHost, fromClient string }{
		"of the host":   {whole + part, masked},
		"of the client": {whole, masked + maskedPart},
		"of both":       {part, maskedPart},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			h := newHost(t, "a").on("/ws", accept(func(w *wire) {
				w.expect(row.fromClient)
				w.send(row.fromHost)
				rest := make([]byte, 1<<10)
				n, _ := w.in.Read(rest)
				got <- string(rest[:n])
			}))
			l := start(t, nil, h)
			w := l.dial().open("/ws", mark)
			w.send(row.fromClient).expect(row.fromHost)
			l.hosts[0].State = route.Maint
			l.use()
			if row.fromHost == whole {
				w.expectClose(1001)
			} else {
				w.expectEnd()
			}
			if rest := <-got; (len(rest) > 0) != (row.fromClient == masked) {
				t.Errorf("the host got %q at the end", rest)
			}
		})
	}
}

// TestNothingFollowsACloseFrame: what a host sends at the end is dropped, and a host's own
// close frame is the last.
func TestNothingFollowsACloseFrame(t *testing.T) {
	const own = "\x88\x02\x03\xe8"
	started := make(chan bool)
	h := newHost(t, "a").on("/flood", accept(func(w *wire) {
		for range started {
		}
		for {
			if _, err := w.Write([]byte("\x81\x02hi")); err != nil {
				return
			}
		}
	})).on("/own", accept(func(w *wire) {
		w.send(own)
		_, _ = w.in.ReadByte()
	}))
	l := start(t, nil, h)
	flooded, closed := l.dial().open("/flood", mark), l.dial().open("/own", mark)
	closed.expect(own)
	close(started)
	flooded.expect("\x81\x02hi")
	l.hosts[0].State = route.Maint
	l.use()
	closed.expectEnd()
	rest, _ := io.ReadAll(flooded.in)
	for bytes.HasPrefix(rest, []byte("\x81\x02hi")) {
		rest = rest[4:]
	}
	if len(rest) >= 4 && int(rest[1]) != len(rest)-2 {
		t.Errorf("the client got at the end %q", rest)
	}
}

// TestClosingIsSpread measures when terminals end of a balancer that stops, and of one that
// is told the rate.
func TestClosingIsSpread(t *testing.T) {
	const terminals = 20
	for name, row := range map[string]struct {
		end         func(l *lab)
		first, last time.Duration // bounds
	}{
		"a stop":        {func(l *lab) { l.cancel() }, 300 * time.Millisecond, 550 * time.Millisecond},
		"at 100/second": {func(l *lab) { l.p.CloseTunnels(context.Background(), 100, tunnel.ByUpgrade) }, 0, 190 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := start(t, func(l *lab) { l.cfg.ShutdownGrace = 600 * time.Millisecond }, newHost(t, "a").on("/ws", accept(echo)))
			ends := make(chan time.Time, terminals)
			for range terminals {
				w := l.dial().open("/ws", mark)
				go func() {
					_, _ = w.in.ReadByte()
					ends <- time.Now()
				}()
			}
			begin := time.Now()
			row.end(l)
			var after []time.Duration
			for range terminals {
				after = append(after, (<-ends).Sub(begin))
			}
			slices.Sort(after)
			if first, last := after[0], after[terminals-1]; first < row.first || last < row.last {
				t.Errorf("they ended between %v and %v, want the first after %v and the last after %v", first, last, row.first, row.last)
			}
			if middle := after[terminals/2]; middle-after[0] < (row.last-row.first)/4 {
				t.Errorf("half of them ended within %v: %v", middle-after[0], after)
			}
		})
	}
}

// TestClosingEndsHandshakesToo: one that a host hasn't answered yet gets 503.
func TestClosingEndsHandshakesToo(t *testing.T) {
	asked, letGo := make(chan bool), make(chan bool)
	h := newHost(t, "a").on("/ws", func(w *wire, r *http.Request) bool {
		asked <- true
		<-letGo
		w.send(agree(r.Header.Get("Sec-WebSocket-Key")))
		return false
	})
	l := start(t, nil, h)
	w := l.dial().send(upgrade("/ws", mark))
	<-asked
	l.p.CloseTunnels(t.Context(), 1000, tunnel.ByUpgrade)
	close(letGo)
	w.want(503)
}

func TestClosingEndsWithItsContext(t *testing.T) {
	l := start(t, nil, newHost(t, "a").on("/ws", accept(echo)))
	w := l.dial().open("/ws", mark)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	l.p.CloseTunnels(ctx, 0.001, tunnel.ByUpgrade)
	w.ping()
}
