package proxy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/http1"
	"tokenring/route"
)

const wsKey = "dGhlIHNhbXBsZSBub25jZQ=="

func upgrade(path, token string) string {
	return "GET " + path + "?token=" + token + " HTTP/1.1\r\nHost: ide.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wsKey + "\r\n\r\n"
}

func agree(key string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
		http1.AcceptKey([]byte(key)) + "\r\n\r\n"
}

// accept is a script that agrees to a WebSocket and then runs the tunnel.
func accept(run func(w *wire)) script {
	return func(w *wire, r *http.Request) bool {
		w.send(agree(r.Header.Get("Sec-WebSocket-Key")))
		run(w)
		return false
	}
}

// echo sends everything back, and then its own end.
func echo(w *wire) { _, _ = io.Copy(w.Conn, w.in) }

// open opens a WebSocket on w and reads the host's agreement.
func (w *wire) open(path, token string) *wire {
	w.t.Helper()
	w.send(upgrade(path, token))
	w.opened()
	return w
}

func (w *wire) opened() {
	w.t.Helper()
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != http1.AcceptKey([]byte(wsKey)) ||
		!strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") {
		w.t.Fatalf("no tunnel: %v, %v", resp, err)
	}
}

// ping checks that the tunnel echoes.
func (w *wire) ping() {
	w.t.Helper()
	w.send("ping").expect("ping")
}

func TestRealClientTalksThroughATunnel(t *testing.T) {
	h := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, nil, h)
	srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(rw, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		c.SetReadLimit(-1)
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	})}
	ln := listen(t)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	defer func() { srv.Close(); <-done }()
	l.hosts[0].Address = ln.Addr().String()
	l.use()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+l.addr+"/ws?token="+mark, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	want := make([]byte, 10<<20)
	for i := range want {
		want[i] = byte(i * 7)
	}
	go func() { _ = c.Write(ctx, websocket.MessageBinary, want) }()
	if _, got, err := c.Read(ctx); err != nil || string(got) != string(want) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if e := l.logged("/ws"); e["status"] != 101.0 || e["out"].(float64) < 10<<20 {
		t.Errorf("the log says %v", e)
	}
}

func TestEarlyBytesArriveInOrder(t *testing.T) {
	h := newHost(t, "a").on("/ws", func(w *wire, r *http.Request) bool {
		w.send(agree(wsKey) + "early ")
		w.send("late ")
		echo(w)
		return false
	})
	l := start(t, nil, h)
	w := l.dial().send(upgrade("/ws", mark) + "one ")
	w.opened()
	w.send("two")
	w.expect("early late one two")
}

func TestHalfCloseIsPassedOnInBothDirections(t *testing.T) {
	t.Run("client", func(t *testing.T) {
		h := newHost(t, "a").on("/ws", accept(func(w *wire) {
			all, _ := io.ReadAll(w.in)
			w.send("got " + string(all))
		}))
		l := start(t, nil, h)
		w := l.dial().open("/ws", mark).send("bye")
		_ = w.Conn.(*net.TCPConn).CloseWrite()
		w.expect("got bye")
		w.expectEnd()
		if e := l.logged("/ws"); e["end"] != "client" || e["in"] != 3.0 || e["out"] != 7.0 {
			t.Errorf("the log says %v", e)
		}
	})
	t.Run("host", func(t *testing.T) {
		rest := make(chan string, 1)
		h := newHost(t, "a").on("/ws", accept(func(w *wire) {
			w.send("bye")
			_ = w.Conn.(*net.TCPConn).CloseWrite()
			all, _ := io.ReadAll(w.in)
			rest <- string(all)
		}))
		l := start(t, nil, h)
		w := l.dial().open("/ws", mark)
		w.expect("bye")
		w.expectEnd()
		w.send("later")
		w.Close()
		if got := <-rest; got != "later" {
			t.Errorf("the host got %q", got)
		}
		if e := l.logged("/ws"); e["end"] != "host" {
			t.Errorf("the log says %v", e)
		}
	})
}

func TestHalfOpenTunnelIsBounded(t *testing.T) {
	h := newHost(t, "a").on("/ws", accept(func(w *wire) {
		_, _ = io.Copy(io.Discard, w.in)
		w.expectEnd() // never closes by itself
		<-t.Context().Done()
	}))
	l := start(t, func(l *lab) { l.cfg.Timeouts.Idle = 50 * time.Millisecond }, h)
	w := l.dial().open("/ws", mark)
	_ = w.Conn.(*net.TCPConn).CloseWrite()
	w.expectClose(1001)
	if e := l.logged("/ws"); e["end"] != "timeout" {
		t.Errorf("the log says %v", e)
	}
}

func TestTunnelNeedsTheHostsProof(t *testing.T) {
	bad := map[string]string{
		"/wrong":   strings.Replace(agree(wsKey), "s3pPL", "xxxxx", 1),
		"/missing": "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"/twice":   strings.Replace(agree(wsKey), "\r\n\r\n", "\r\nSec-WebSocket-Accept: "+http1.AcceptKey([]byte(wsKey))+"\r\n\r\n", 1),
		"/other":   strings.Replace(agree(wsKey), "Upgrade: websocket", "Upgrade: h2c", 1),
		"/noconn":  strings.Replace(agree(wsKey), "Connection: Upgrade\r\n", "", 1),
		"/junk":    "SSH-2.0\r\n\r\n",
		"/gone":    "",
	}
	h := newHost(t, "a")
	for path, raw := range bad {
		h.on(path, says(raw, false))
	}
	l := start(t, nil, h)
	for path := range bad {
		t.Run(path, func(t *testing.T) {
			w := l.dial().send(upgrade(path, mark) + "early")
			w.want(502)
			w.expectEnd()
			l.canary()
		})
	}
}

func TestRefusalOfAHandshakeIsRelayed(t *testing.T) {
	h := newHost(t, "a").on("/ws", says("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nshoo", true))
	l := start(t, nil, h)
	w := l.dial().send(upgrade("/ws", mark) + strings.Repeat("early", 1000))
	if a := w.want(403); a.body != "shoo" {
		t.Errorf("got %q", a.body)
	}
	w.expectEnd()
	if host, n := l.p.Session(l.digest(mark)); host != "" || n != 0 {
		eventually(t, "the session's end", func() bool { _, n := l.p.Session(l.digest(mark)); return n == 0 })
	}
	l.canary()
}

func TestBytesInAnyPiecesArriveUnchanged(t *testing.T) {
	h := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, nil, h)
	rnd := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(rnd.Uint32())
	}
	w := l.dial().open("/ws", mark)
	done := make(chan bool)
	go func() {
		defer close(done)
		for rest := want; len(rest) > 0; {
			n := min(1+rnd.IntN(20000), len(rest))
			_, _ = w.Write(rest[:n])
			rest = rest[n:]
		}
		_ = w.Conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(w.in)
	<-done
	if err != nil || string(got) != string(want) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(want))
	}
}

func TestResetOnEitherSideEndsBoth(t *testing.T) {
	ended := make(chan bool, 1)
	h := newHost(t, "a").
		on("/client", accept(func(w *wire) { echo(w); ended <- true })).
		on("/host", accept(func(w *wire) { _ = w.Conn.(*net.TCPConn).SetLinger(0) }))
	l := start(t, nil, h)
	w := l.dial().open("/client", mark)
	w.ping()
	_ = w.Conn.(*net.TCPConn).SetLinger(0)
	w.Close()
	<-ended
	if l.suspects.Load() != 0 {
		t.Error("the host is suspected for what its client did")
	}
	l.dial().open("/host", mark).expectEnd()
	if e := l.logged("/host"); e["end"] != "host" {
		t.Errorf("the log says %v", e)
	}
	if l.suspects.Load() != 1 || l.hosts[0].Gauges.Resets.Load() != 1 {
		t.Errorf("a host that broke its tunnel off: %d suspicions, %d resets, want 1 of each",
			l.suspects.Load(), l.hosts[0].Gauges.Resets.Load())
	}
}

func TestMaintEndsTunnelsAndDrainKeepsThem(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	l := start(t, nil, a, b)
	token := l.token("a")
	w := l.dial().open("/ws", token)
	w.ping()
	if host, n := l.p.Session(l.digest(token)); host != "a" || n != 1 || l.hosts[0].Gauges.Sessions.Load() != 1 {
		t.Errorf("the session is on %q, %d tunnels", host, n)
	}
	l.hosts[0].State, l.hosts[0].InRing = route.Drain, false
	l.use()
	w.ping()
	if r := l.ask(get("/x?token="+token), 200); r.body != "a GET /x" {
		t.Errorf("a draining host lost a live session: %q", r.body)
	}
	l.hosts[0].State = route.Maint
	l.use()
	w.expectEnd()
	if e := l.logged("/ws"); e["end"] != "maint" {
		t.Errorf("the log says %v", e)
	}
	w2 := l.dial().open("/ws", token)
	w2.ping()
	if host, _ := l.p.Session(l.digest(token)); host != "b" {
		t.Errorf("the session is on %q, want b", host)
	}
}

func TestTunnelChosenBeforeMaintIsNotOpened(t *testing.T) {
	asked, on := make(chan bool), make(chan bool)
	h := newHost(t, "a").on("/ws", func(w *wire, r *http.Request) bool {
		asked <- true
		<-on
		w.send(agree(wsKey))
		w.expectEnd()
		return false
	})
	l := start(t, nil, h)
	w := l.dial().send(upgrade("/ws", mark))
	<-asked
	l.hosts[0].State, l.hosts[0].InRing = route.Maint, false
	l.use()
	close(on)
	w.want(503)
	if e := l.logged("/ws"); e["end"] != "maint" || e["status"] != 503.0 {
		t.Errorf("the log says %v", e)
	}
}

func TestLiveSessionStaysUntilItsTunnelCloses(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	l := start(t, nil, a, b)
	token := l.token("b")
	l.hosts[1].InRing = false
	l.use()
	w := l.dial().open("/ws", token)
	l.hosts[1].InRing = true // b joins: the token is its own now
	l.use()
	w2 := l.dial().open("/ws", token)
	if host, n := l.p.Session(l.digest(token)); host != "a" || n != 2 {
		t.Errorf("the session is on %q, %d tunnels, want a, 2", host, n)
	}
	if r := l.ask(get("/x?token="+token), 200); r.body != "a GET /x" {
		t.Errorf("got %q", r.body)
	}
	w.Close()
	w2.Close()
	eventually(t, "the session's end", func() bool { _, n := l.p.Session(l.digest(token)); return n == 0 })
	if r := l.ask(get("/x?token="+token), 200); r.body != "b GET /x" {
		t.Errorf("got %q", r.body)
	}
}

func TestTunnelOnALostHostEndsWhenItsTokenMoves(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	l := start(t, nil, a, b)
	token := l.token("a")
	w := l.dial().open("/ws", token)
	l.hosts[0].Verdict = route.Down
	l.use()
	w.ping() // being down by checks cuts nobody
	w2 := l.dial().open("/ws", token)
	w.expectEnd()
	w2.ping()
	if e := l.logged("/ws"); e["end"] != "moved" || e["host"] != "a" {
		t.Errorf("the log says %v", e)
	}
}

func TestSessionOfAnUnreachableHostUsesNoOtherHost(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b")
	l := start(t, nil, a, b)
	token := l.token("a")
	w := l.dial().open("/ws", token)
	w.ping()
	a.ln.Close()
	l.ask(upgrade("/ws", token), 503)
	w.ping()
	if b.dials.Load() != 0 {
		t.Error("the session's user was sent to another host")
	}
}

func TestManyTunnelsLeaveNothingBehind(t *testing.T) {
	h := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, nil, h)
	for i := range 20 {
		token := fmt.Sprintf("%s-%d", mark, i%5)
		w := l.dial().open("/ws", token)
		w.ping()
		w.Close()
	}
	eventually(t, "the end of all tunnels", func() bool { return l.hosts[0].Gauges.Sessions.Load() == 0 })
}
