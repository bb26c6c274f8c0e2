package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tokenring/proxy/deadline"
	"tokenring/route"
)

// moveTo gives the lab's first host the address of another machine, which has
// passed its checks.
func (l *lab) moveTo(h *host) {
	l.t.Helper()
	l.hosts[0].Address = h.ln.Addr().String()
	l.use()
}

// TestMovedHostEndsItsTerminalsBeforeItsNewAddressIsUsed has users who go on
// asking while their host moves. None may reach the new machine while a terminal is
// on the old one.
func TestMovedHostEndsItsTerminalsBeforeItsNewAddressIsUsed(t *testing.T) {
	old, fresh := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "a")
	l := start(t, nil, old)
	var early atomic.Int64
	gauges := l.hosts[0].Gauges
	fresh.on("/page", func(w *wire, _ *http.Request) bool {
		early.Add(gauges.Sessions.Load())
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
		return true
	})
	old.on("/page", says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold", true))
	var terminals []*wire
	for range 40 {
		w := l.dial().open("/ws", mark)
		w.ping()
		terminals = append(terminals, w)
	}
	asked := make(chan string)
	for range 4 {
		go func() {
			w, body := l.dial(), "old"
			for body == "old" {
				body = w.send(get("/page?token=" + mark)).want(200).body
			}
			asked <- body
		}()
	}
	l.moveTo(fresh)
	for range 4 {
		if body := <-asked; body != "new" {
			t.Errorf("got %q from the new address", body)
		}
	}
	if n := early.Load(); n != 0 {
		t.Errorf("the new address was asked while %d terminals were open on the old one", n)
	}
	for _, w := range terminals {
		w.expectEnd()
	}
	if e := l.logged("/ws"); e["end"] != endMoved {
		t.Errorf("the log says %v", e)
	}
	if host, n := l.p.Session(l.digest(mark)); n != 0 {
		t.Errorf("%d terminals are left on %s", n, host)
	}
}

func TestMovedHostsNextTerminalIsAtTheNewAddress(t *testing.T) {
	old, fresh := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "a").on("/ws", accept(echo))
	l := start(t, nil, old)
	l.dial().open("/ws", mark).ping()
	l.moveTo(fresh)
	l.dial().open("/ws", mark).ping()
	if !strings.Contains(fresh.received(), mark) {
		t.Error("the new terminal isn't at the new address")
	}
	if host, n := l.p.Session(l.digest(mark)); host != "a" || n != 1 {
		t.Errorf("%d terminals on %q, want one on a", n, host)
	}
}

// TestAnotherHostsTerminalsStayWhenOneMoves: so do those of a host of which only
// something else changes.
func TestAnotherHostsTerminalsStayWhenOneMoves(t *testing.T) {
	a, b, fresh := newHost(t, "a"), newHost(t, "b").on("/ws", accept(echo)), newHost(t, "a")
	l := start(t, nil, a, b)
	w := l.dial().open("/ws", l.token("b"))
	w.ping()
	l.moveTo(fresh)
	l.hosts[1].Weight, l.hosts[1].Zone = 7, "z"
	l.hosts[1].Gauges = new(route.Gauges) // it was forgotten, and has come again
	l.use()
	w.ping()
}

func TestIdleConnectionsToAnOldAddressAreClosed(t *testing.T) {
	closed := make(chan bool)
	old, fresh := newHost(t, "a"), newHost(t, "a")
	old.on("/page", func(w *wire, _ *http.Request) bool {
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")
		_, err := w.in.ReadByte()
		closed <- err != nil
		return false
	})
	l := start(t, nil, old)
	l.ask(get("/page"), 200)
	l.waitUntilIdle()
	l.moveTo(fresh)
	if !<-closed {
		t.Error("another request came to the old address")
	}
	if r := l.ask(get("/x"), 200); r.body != "a GET /x" {
		t.Errorf("got %q", r.body)
	}
}

func TestRequestInFlightToAnOldAddress(t *testing.T) {
	const head, part = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "some"
	for name, row := range map[string]struct {
		request, answer string // answer: what the old machine has said when the host moves
		status          int
		body, end       string
	}{
		"one that can be repeated is":   {get("/page"), "", 200, "new", endDone},
		"one that has an effect ends":   {"POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", "", 502, "", endMoved},
		"an answer that has begun ends": {get("/page"), head + part, 200, part, endMoved},
		"a terminal that opens ends":    {upgrade("/page", mark), "", 503, "", endMoved},
	} {
		t.Run(name, func(t *testing.T) {
			asked, ended := make(chan bool), make(chan bool, 1)
			old, fresh := newHost(t, "a"), newHost(t, "a")
			old.on("/page", func(w *wire, r *http.Request) bool {
				_, _ = io.Copy(io.Discard, r.Body)
				w.send(row.answer)
				asked <- true
				_, err := w.in.ReadByte()
				ended <- err != nil
				return false
			})
			fresh.on("/page", says("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew", true))
			l := start(t, nil, old)
			w := l.dial().send(row.request)
			<-asked
			if row.answer != "" {
				_, _ = w.in.Peek(1) // the client has what there is
			}
			l.moveTo(fresh)
			if !<-ended {
				t.Error("the old address got more")
			}
			r := w.answer("GET")
			if r.StatusCode != row.status || row.body != "" && r.body != row.body || (r.err != nil) != (row.answer != "") {
				t.Errorf("got %d %q (%v), want %d %q", r.StatusCode, r.body, r.err, row.status, row.body)
			}
			if e := l.logged("/page"); e["end"] != row.end {
				t.Errorf("the log says %v, want the end %s", e, row.end)
			}
			if n := l.suspects.Load(); n != 0 {
				t.Errorf("the host is suspected %d times for having moved", n)
			}
		})
	}
}

// TestConnectToAnOldAddressContinuesAtTheNewAddress: a request that waits for a connection to a
// machine that the host has left goes to the host's new one, not to another host.
func TestConnectToAnOldAddressContinuesAtTheNewAddress(t *testing.T) {
	fresh, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b")
	slow := newSlowListener(t)
	l := start(t, nil, newHost(t, "a"), b)
	l.hosts[0].Address = slow.address()
	l.use()
	token := l.token("a")
	page, terminal := l.dial().send(get("/x?token="+token)), l.dial().send(upgrade("/ws", token))
	eventually(t, "an attempt to connect", slow.awaited)
	l.moveTo(fresh)
	if r := page.want(200); r.body != "a GET /x" {
		t.Errorf("got %q", r.body)
	}
	terminal.opened()
	terminal.ping()
	if b.dials.Load() != 0 || l.suspects.Load() != 0 {
		t.Errorf("%d connections to another host, %d suspicions; want none", b.dials.Load(), l.suspects.Load())
	}
}

// TestRequestsWaitForAHostThatIsMoving: until the first check of its new address, and
// for no longer than a connection may take. No other host gets them.
func TestRequestsWaitForAHostThatIsMoving(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		verdict route.Verdict // of the check; Unchecked: none comes
		bound   float64
		status  int
		body    string
	}{
		"it passes":                   {route.Up, 0, 200, "a GET /page"},
		"it passes, loads bounded":    {route.Up, 1.25, 200, "a GET /page"},
		"it fails":                    {route.Down, 0, 200, "b GET /page"},
		"nothing is known for a long": {route.Unchecked, 0, 503, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fresh, b := newHost(t, "a"), newHost(t, "b")
			l := start(t, func(l *lab) {
				if l.bound = row.bound; row.verdict == route.Unchecked {
					l.cfg.Timeouts.Connect = time.Second
				}
			}, newHost(t, "a"), b)
			token := l.token("a")
			l.ask(get("/page?token="+token), 200)
			l.hosts[0].Address, l.hosts[0].Verdict, l.hosts[0].Moving = fresh.ln.Addr().String(), route.Unchecked, true
			l.use()
			w := l.dial().send(get("/page?token=" + token))
			_ = w.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
			if _, err := w.in.Peek(1); !deadline.Exceeded(err) {
				t.Fatalf("before the check: %v, want nothing yet", err)
			}
			_ = w.SetReadDeadline(time.Time{})
			if n := fresh.dials.Load() + b.dials.Load(); n != 0 {
				t.Errorf("%d connections before the check, want none", n)
			}
			if row.verdict != route.Unchecked {
				l.hosts[0].Verdict, l.hosts[0].Moving = row.verdict, false
				l.use()
			}
			if r := w.want(row.status); row.body != "" && r.body != row.body {
				t.Errorf("got %q, want %q", r.body, row.body)
			}
		})
	}
}

// TestClientThatLeavesAHostThatIsMovingIsLogged: its request has come, though no host
// has seen it.
func TestClientThatLeavesAHostThatIsMovingIsLogged(t *testing.T) {
	l := start(t, func(l *lab) {
		l.cfg.Timeouts.Connect = 20 * time.Second
		l.listener.HalfCloseAborts = true
	}, newHost(t, "a"))
	l.hosts[0].Verdict, l.hosts[0].Moving = route.Unchecked, true
	l.use()
	fin(l.dial().send(get("/left?token=" + mark)))
	if e := l.logged("/left"); e["end"] != endClientGone || e["host"] != "a" {
		t.Errorf("the log says %v", e)
	}
}

// TestHostThatReturnsAtAnotherAddressGetsNoOldTerminals: one that was forgotten while a
// terminal was open on it.
func TestHostThatReturnsAtAnotherAddressGetsNoOldTerminals(t *testing.T) {
	old, fresh := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "a").on("/ws", accept(echo))
	l := start(t, nil, old)
	w := l.dial().open("/ws", mark)
	w.ping()
	known := l.hosts
	l.hosts = nil
	l.use()
	w.ping()
	l.hosts = known
	l.hosts[0].Gauges = new(route.Gauges)
	l.moveTo(fresh)
	w.expectEnd()
	l.dial().open("/ws", mark).ping()
	if host, n := l.p.Session(l.digest(mark)); host != "a" || n != 1 {
		t.Errorf("%d terminals on %q, want one on a", n, host)
	}
}
