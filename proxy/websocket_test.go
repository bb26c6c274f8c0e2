package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/proxy/deadline"
)

// A wsHost is an IDE host that speaks WebSocket by a library.
type wsHost struct {
	srv   *httptest.Server
	ended chan error // of each WebSocket: what its last read said
}

// newWSHost runs a host that echoes messages, and does what some of them say.
func newWSHost(t *testing.T) *wsHost {
	h := &wsHost{ended: make(chan error, 16)}
	h.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		h.ended <- echoMessages(c)
	}))
	t.Cleanup(h.srv.Close)
	return h
}

func echoMessages(c *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		kind, b, err := c.Read(ctx)
		if err != nil {
			return err
		}
		switch string(b) {
		case "close":
			err = c.Close(4002, "go away")
		case "vanish":
			err = c.CloseNow()
		case "ping":
			reading := c.CloseRead(ctx) // somebody has to read the pong
			if err = c.Ping(reading); err == nil {
				err = c.Write(ctx, kind, b)
			}
			return err
		default:
			err = c.Write(ctx, kind, b)
		}
		if err != nil {
			return err
		}
	}
}

// bothWebSockets runs a test with WebSockets to a real host, in plain text and
// over TLS.
func bothWebSockets(t *testing.T, test func(t *testing.T, l *lab, h *wsHost, c *websocket.Conn)) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "tls"}[secure], func(t *testing.T) {
			h := newWSHost(t)
			l := start(t, func(l *lab) {
				if secure {
					withTLS(t, nil)(l)
				}
			}, newHost(t, "a"))
			l.hosts[0].Address = h.srv.Listener.Addr().String()
			l.use()
			test(t, l, h, l.webSocket(secure))
		})
	}
}

// webSocket opens one with a library.
func (l *lab) webSocket(secure bool) *websocket.Conn {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	scheme := "ws"
	if secure {
		scheme = "wss"
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	c, _, err := websocket.Dial(ctx, scheme+"://"+l.addr+"/ws?token="+mark, &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
	if err != nil {
		l.t.Fatal(err)
	}
	c.SetReadLimit(-1)
	l.t.Cleanup(func() { c.CloseNow(); tr.CloseIdleConnections() })
	return c
}

func TestFragmentsMakeOneMessage(t *testing.T) {
	bothWebSockets(t, func(t *testing.T, _ *lab, _ *wsHost, c *websocket.Conn) {
		w, err := c.Writer(t.Context(), websocket.MessageText)
		if err != nil {
			t.Fatal(err)
		}
		for _, fragment := range []string{"one ", "", "two ", strings.Repeat("x", 70000)} {
			if _, err := io.WriteString(w, fragment); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		kind, got, err := c.Read(t.Context())
		if want := "one two " + strings.Repeat("x", 70000); kind != websocket.MessageText || string(got) != want || err != nil {
			t.Errorf("got %d bytes of kind %v, %v, want %d", len(got), kind, err, len(want))
		}
	})
}

func TestPingsAreAnsweredByTheOtherEnd(t *testing.T) {
	bothWebSockets(t, func(t *testing.T, _ *lab, h *wsHost, c *websocket.Conn) {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("ping")); err != nil { // the host pings
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); string(got) != "ping" || err != nil {
			t.Errorf("the host got no pong: %q, %v, %v", got, err, <-h.ended)
		}
	})
	bothWebSockets(t, func(t *testing.T, _ *lab, _ *wsHost, c *websocket.Conn) {
		reading := c.CloseRead(t.Context())
		for range 3 {
			if err := c.Ping(reading); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCloseCodesReachTheOtherEnd(t *testing.T) {
	bothWebSockets(t, func(t *testing.T, l *lab, h *wsHost, c *websocket.Conn) {
		if err := c.Close(3001, "bye"); err != nil {
			t.Error(err)
		}
		if got := websocket.CloseStatus(<-h.ended); got != 3001 {
			t.Errorf("the host got %v, want 3001", got)
		}
		if e := l.logged("/ws"); e["end"] != "client" && e["end"] != "host" { // RFC 6455 §7.1.1: the server closes the connection
			t.Errorf("the log says %v", e)
		}
	})
	bothWebSockets(t, func(t *testing.T, _ *lab, h *wsHost, c *websocket.Conn) {
		_ = c.Write(t.Context(), websocket.MessageText, []byte("close"))
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 4002 {
			t.Errorf("the client got %v, want 4002", err)
		}
		<-h.ended
	})
}

func TestEitherEndLearnsThatTheOtherHasVanished(t *testing.T) {
	bothWebSockets(t, func(t *testing.T, l *lab, h *wsHost, c *websocket.Conn) {
		_ = c.CloseNow()
		if err := <-h.ended; err == nil || websocket.CloseStatus(err) != -1 || deadline.Exceeded(err) {
			t.Errorf("the host got %v, want an end without a close code", err)
		}
		if e := l.logged("/ws"); e["end"] != "client" || l.suspects.Load() != 0 {
			t.Errorf("the log says %v", e)
		}
	})
	bothWebSockets(t, func(t *testing.T, l *lab, h *wsHost, c *websocket.Conn) {
		_ = c.Write(t.Context(), websocket.MessageText, []byte("vanish"))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, _, err := c.Read(ctx); err == nil || websocket.CloseStatus(err) != -1 || ctx.Err() != nil {
			t.Errorf("the client got %v, want an end without a close code", err)
		}
		<-h.ended
		_ = c.CloseNow()
		if e := l.logged("/ws"); e["end"] != "host" {
			t.Errorf("the log says %v", e)
		}
	})
}

func TestLargeMessagesPassBothWaysAtOnce(t *testing.T) {
	bothWebSockets(t, func(t *testing.T, _ *lab, _ *wsHost, c *websocket.Conn) {
		const size = 10 << 20
		many := 3
		if racing {
			many = 1
		}
		want := make([]byte, size)
		for i := 0; i < size; i += 8 {
			binary.LittleEndian.PutUint64(want[i:], uint64(i)*0x9e3779b97f4a7c15)
		}
		sent := make(chan error, 1)
		go func() {
			for range many {
				if err := c.Write(t.Context(), websocket.MessageBinary, want); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		for range many {
			if _, got, err := c.Read(t.Context()); !bytes.Equal(got, want) {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// TestFramesAreNotTouched: what a strange but legal client sends arrives as it
// was cut into frames, with a ping amid the fragments of a message.
func TestFramesAreNotTouched(t *testing.T) {
	frames := []string{
		"\x01\x82\x00\x00\x00\x00he",                                  // a text, to be continued
		"\x89\x84\x01\x02\x03\x04\x71\x6b\x6d\x63",                    // ping, masked
		"\x00\x80\x00\x00\x00\x00",                                    // an empty fragment
		"\x80\x83\x00\x00\x00\x00llo",                                 // the last
		"\x82\xfe\x00\x7e\x00\x00\x00\x00" + strings.Repeat("b", 126), // a longer length
		"\x88\x85\x00\x00\x00\x00\x0b\xb9bye",                         // close 3001
	}
	h := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, nil, h)
	w := l.dial().open("/ws", mark)
	for _, f := range frames {
		for i := range f { // byte by byte
			w.send(f[i : i+1])
		}
	}
	w.expect(strings.Join(frames, ""))
	_ = w.Conn.(*net.TCPConn).CloseWrite()
	w.expectCleanEnd()
}

// TestHostThatRestartsGetsItsTerminalsAgain: all terminals of a host that goes
// learn of it, and can be opened again when it is back at its address.
func TestHostThatRestartsGetsItsTerminalsAgain(t *testing.T) {
	for _, secure := range []bool{false, true} {
		h := newHost(t, "a").on("/ws", accept(echo))
		l := start(t, func(l *lab) {
			if secure {
				withTLS(t, nil)(l)
			}
		}, h)
		var all []*wire
		for range 20 {
			w := l.dialer(secure)().open("/ws", mark)
			w.ping()
			all = append(all, w)
		}
		address := h.ln.Addr().String()
		h.stop()
		for _, w := range all {
			if b, err := io.ReadAll(w.in); len(b) > 0 || deadline.Exceeded(err) {
				t.Errorf("got %q, %v, want the end", b, err)
			}
			w.Close()
		}
		eventually(t, "the end of all tunnels", func() bool { return l.hosts[0].Gauges.Sessions.Load() == 0 })
		l.dialer(secure)().send(upgrade("/ws", mark)).want(502)

		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		back := &host{t: t, name: "a", ln: ln, open: map[net.Conn]bool{}}
		back.on("/ws", accept(echo))
		back.wg.Go(back.accept)
		t.Cleanup(back.stop)
		for range 20 {
			l.dialer(secure)().open("/ws", mark).ping()
		}
	}
}
