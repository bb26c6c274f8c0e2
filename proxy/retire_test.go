package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokenring/proxy/tunnel"
	"tokenring/route"
)

// TestKeepAliveConnectionsAreServedByTheNewestProcess has clients whose connections are at
// each point between two requests when their balancer is replaced.
func TestKeepAliveConnectionsAreServedByTheNewestProcess(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		heads := make(chan *http.Request, 1)
		a := newHost(t, "a").on("/m", mirror(heads))
		l := start(t, all(kind, fronts, lingersShortly), a)
		fresh, idle := dial(l), dial(l)
		idle.send(get("/one?token=" + mark)).want(200)
		eventually(t, "the registered connections", func() bool { return gaugeValue(l, "lb_connections_parked") == 1 })
		r := l.retire()
		idle.send(get("/m?token=" + mark)) // before there is anybody to serve it
		young := r.begin(nil, a)
		head := <-heads
		idle.want(200)
		later := dial(l)
		proto := map[bool]string{false: "http", true: "https"}[l.listener.TLS != nil]
		if from := head.Header.Get("X-Forwarded-For"); from != "127.0.0.1" || head.Header.Get("X-Forwarded-Proto") != proto {
			t.Errorf("got X-Forwarded-For %q, X-Forwarded-Proto %q", from, head.Header.Get("X-Forwarded-Proto"))
		}
		for _, w := range []*wire{idle, fresh, later} {
			for range 3 {
				w.send(get("/two?token=" + mark)).want(200)
			}
		}
		if e := young.logged("/m"); e["client"] != "127.0.0.1" || e["tls"] != (proto == "https") {
			t.Errorf("the newest process logs %v", e)
		}
		if strings.Contains(l.log.String(), "/two") || strings.Contains(l.log.String(), "/m") {
			t.Error("the older process logs what it hasn't served")
		}
		if got := gaugeValue(young, "lb_connections"); got != 3 {
			t.Errorf("%v connections are counted in the newest process, want 3", got)
		}
		if n := gaugeValue(l, "lb_connections"); proto == "http" && n != 0 {
			t.Errorf("%v connections are counted in the older process", n)
		}
		for _, w := range []*wire{idle, fresh, later} {
			w.Close()
		}
		l.outlived()
	})
}

// TestEarlyBytesArePassedOn: requests that were sent while another one was in progress, and
// a body that comes in parts.
func TestEarlyBytesArePassedOn(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		asked, letGo := make(chan bool), make(chan bool)
		a := newHost(t, "a").on("/hold", hold(asked, letGo)).on("/post", func(w *wire, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + string(body))
			return true
		})
		l := start(t, all(kind, fronts), a)
		w := dial(l)
		w.send(get("/hold?token=" + mark))
		<-asked
		long := get("/long?x=" + strings.Repeat("x", 9000) + "&token=" + mark)
		w.send(get("/one?token="+mark) + long + "POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nsome ")
		r := l.retire()
		young := r.begin(nil, a)
		letGo <- true
		if got := w.want(200).body; got != "done" {
			t.Errorf("the request in progress got %q", got)
		}
		for _, path := range []string{"/one", "/long"} {
			if got := w.want(200).body; !strings.HasSuffix(got, " GET "+path) {
				t.Errorf("got %q", got)
			}
		}
		w.send("body")
		if got := w.want(200).body; got != "some body" {
			t.Errorf("the host got the body %q", got)
		}
		if e := l.logged("/hold"); e["status"] != 200.0 {
			t.Errorf("the older process logs %v", e)
		}
		young.logged("/post")
		w.Close()
		l.outlived()
	})
}

// TestTerminalsOfPassedConnections has one that goes through an older process's TLS behave
// as any other: both ends, large messages, and the end of one direction.
func TestTerminalsOfPassedConnections(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		a := newHost(t, "a").on("/ws", accept(echo))
		l := start(t, all(kind, fronts), a)
		w := dial(l)
		w.send(get("/x?token=" + mark)).want(200)
		young := l.retire().begin(nil, a)
		w.open("/ws", mark).ping()
		if host, n := young.p.Session(l.digest(mark)); host != "a" || n != 1 || gaugeValue(l, "lb_tunnels") != 0 {
			t.Errorf("%d terminals on %q in the newest process", n, host)
		}
		large := strings.Repeat("0123456789abcdef", 1<<16)
		go w.send(large)
		w.expect(large)
		if tc, ok := w.Conn.(*tls.Conn); ok {
			_ = tc.CloseWrite()
		} else {
			fin(w)
		}
		w.expectCleanEnd()
		if e := young.logged("/ws"); e["end"] != "client" || e["out"] != float64(len(large)+4) {
			t.Errorf("the newest process logs %v", e)
		}
		l.outlived()
	})
}

// TestAConnectionIsPassedOnAgain: a process in the middle doesn't stay because of it.
func TestAConnectionIsPassedOnAgain(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		a := newHost(t, "a").on("/ws", accept(echo))
		first := start(t, all(kind, fronts), a)
		w := dial(first)
		w.send(get("/x?token=" + mark)).want(200)
		second := first.retire().begin(nil, a)
		w.send(get("/y?token=" + mark)).want(200)
		third := second.retire().begin(nil, a)
		w.send(get("/z?token=" + mark)).want(200)
		third.logged("/z")
		second.outlived()
		w.open("/ws", mark).ping()
		w.Close()
		first.outlived()
	})
}

// TestNoRequestFailsWhileProcessesAreReplaced has clients ask all the time.
func TestNoRequestFailsWhileProcessesAreReplaced(t *testing.T) {
	t.Parallel()
	const clients, processes = 8, 5
	for name, kind := range map[string]func(*lab){"plain": func(*lab) {}, "tls": withTLS(t, nil), "http2": speaksH2(t)} {
		t.Run(name, func(t *testing.T) {
			a := newHost(t, "a")
			l := start(t, all(kind, fronts, lingersShortly), a)
			scheme := "https"
			if l.listener.TLS == nil {
				scheme = "http"
			}
			var stop atomic.Bool
			var asking sync.WaitGroup
			var count atomic.Int64
			for i := range clients {
				protocols := new(http.Protocols)
				protocols.SetHTTP1(true)
				protocols.SetHTTP2(name == "http2")
				tr := &http.Transport{
					Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: i == 0,
				}
				c := &http.Client{Transport: tr, Timeout: 20 * time.Second}
				asking.Go(func() {
					defer tr.CloseIdleConnections()
					for !stop.Load() {
						// A POST that fails isn't sent again by net/http.
						resp, err := c.Post(scheme+"://"+l.addr+"/page?token="+mark, "text/plain", strings.NewReader("body"))
						if err != nil {
							t.Errorf("a request has failed: %v", errors.Unwrap(err))
							return
						}
						body, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						if resp.StatusCode != 200 || err != nil {
							t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
							return
						}
						count.Add(1)
					}
				})
			}
			now := l
			for range processes - 1 {
				before := count.Load()
				eventually(t, "more requests", func() bool { return count.Load() > before+50 || t.Failed() })
				now = now.retire().begin(nil, a)
			}
			before := count.Load()
			eventually(t, "more requests", func() bool { return count.Load() > before+50 || t.Failed() })
			stop.Store(true)
			asking.Wait()
		})
	}
}

// TestHTTP2StreamsInProgressFinish while their client asks further questions elsewhere.
func TestHTTP2StreamsInProgressFinish(t *testing.T) {
	t.Parallel()
	asked, letGo := make(chan bool), make(chan bool)
	a := newHost(t, "a").on("/hold", hold(asked, letGo))
	l := start(t, all(speaksH2(t), fronts), a)
	c := l.h2client()
	held := make(chan error, 1)
	go func() {
		resp, err := c.Get("https://" + l.addr + "/hold?token=" + mark)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		held <- err
	}()
	<-asked
	young := l.retire().begin(nil, a)
	resp, err := c.Get("https://" + l.addr + "/next?token=" + mark)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	young.logged("/next")
	letGo <- true
	if err := <-held; err != nil {
		t.Errorf("the stream in progress: %v", err)
	}
	l.outlived()
}

// TestHTTP2IsNotOfferedBeforeRetirement, unless that is cancelled.
func TestHTTP2IsNotOfferedBeforeRetirement(t *testing.T) {
	l := start(t, speaksH2(t), newHost(t, "a"))
	agreed := func() string {
		nc, err := tls.Dial("tcp", l.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		return nc.ConnectionState().NegotiatedProtocol
	}
	l.p.PrepareRetire()
	if got := agreed(); got == "h2" {
		t.Error("HTTP/2 is offered")
	}
	l.p.CancelRetire()
	if got := agreed(); got != "h2" {
		t.Errorf("got %q", got)
	}
}

// TestHTTP2ClientWithoutARequestIsTurnedAway: GOAWAY names no stream as served. One client
// has agreed on HTTP/2 before its process retires, and one does so after.
func TestHTTP2ClientWithoutARequestIsTurnedAway(t *testing.T) {
	for name, late := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			l := start(t, all(speaksH2(t), fronts), newHost(t, "a"))
			tcp, err := net.Dial("tcp", l.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer tcp.Close()
			_ = tcp.SetDeadline(time.Now().Add(10 * time.Second))
			nc := tls.Client(tcp, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			eventually(t, "the connection", func() bool { return gaugeValue(l, "lb_connections") == 1 })
			if !late {
				if err := nc.Handshake(); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			r := l.retire()
			if took := time.Since(began); took >= retireTime {
				t.Errorf("it took %v to retire", took)
			}
			r.begin(nil, newHost(t, "a"))
			l.p.CancelRetire() // or it would agree on HTTP/1.1
			got, err := io.ReadAll(nc)
			want := "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"
			if string(got) != want || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			nc.Close()
			l.outlived()
		})
	}
}

// TestHandshakesOfTerminalsAtTheMomentOfRetirement: one whose host has it opens in the older
// process; one whose host can't be reached yet is passed on.
func TestHandshakesOfTerminalsAtTheMomentOfRetirement(t *testing.T) {
	t.Parallel()
	asked, letGo := make(chan bool), make(chan bool)
	a, b := newHost(t, "a"), newHost(t, "b").on("/ws", accept(echo))
	a.on("/ws", func(w *wire, r *http.Request) bool {
		asked <- true
		<-letGo
		w.send(agree(r.Header.Get("Sec-WebSocket-Key")))
		echo(w)
		return false
	})
	slow := newSlowListener(t)
	l := start(t, all(fronts, func(l *lab) { l.cfg.Timeouts.Connect = 20 * time.Second }), a, b)
	l.hosts[1].Address = slow.address()
	l.use()
	onA, onB := l.token("a"), l.token("b")
	under, stuck := l.dial().send(upgrade("/ws", onA)), l.dial().send(upgrade("/ws", onB))
	<-asked
	eventually(t, "an attempt to connect", slow.awaited)
	began := time.Now()
	r := l.retire()
	if took := time.Since(began); took > retireTime+time.Second {
		t.Errorf("it took %v to retire", took)
	}
	young := r.begin(nil, a, b)
	letGo <- true
	under.opened()
	under.ping()
	if host, n := young.p.Session(l.digest(onA)); host != "a" || n != 1 {
		t.Errorf("%d terminals on %q are known in the newest process, want one on a", n, host)
	}
	slow.listen()
	stuck.opened()
	stuck.ping()
	if host, n := young.p.Session(l.digest(onB)); host != "b" || n != 1 || young.sessionsOf("b") != 1 {
		t.Errorf("%d terminals on %q are known in the newest process, want one on b", n, host)
	}
	under.Close()
	stuck.Close()
	l.outlived()
	if e := l.logged("/ws"); e["host"] != "a" {
		t.Errorf("the older process logs %v", e)
	}
	if e := young.logged("/ws"); e["host"] != "b" {
		t.Errorf("the newest process logs %v", e)
	}
}

// TestAConnectionThatCannotBePassedOnIsAnswered with 503, soon if the newest process has no
// such listener.
func TestAConnectionThatCannotBePassedOnIsAnswered(t *testing.T) {
	t.Parallel()
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		a := newHost(t, "a")
		l := start(t, all(kind, fronts), a)
		w, v := dial(l), dial(l)
		w.send(get("/x?token=" + mark)).want(200)
		var tries atomic.Int64
		l.p.Retire(t.Context(), func(x Passed) error {
			if tries.Add(1) < 3 {
				return context.DeadlineExceeded // there is no newest process at the moment
			}
			return ErrNotServed
		})
		began := time.Now()
		got := w.send(get("/y?token=" + mark)).want(503)
		if got.Header.Get("Retry-After") == "" || !got.Close || tries.Load() < 3 || time.Since(began) > passPatience {
			t.Errorf("got %v after %d attempts", got.Header, tries.Load())
		}
		w.expectEnd()
		if e := l.logged("/y"); e["end"] != endRetired {
			t.Errorf("the log says %v", e)
		}
		v.Close()
		l.outlived()
	})
}

// TestARetiredProcessCanBeStopped: its tunnels have the usual grace, and then end.
func TestARetiredProcessCanBeStopped(t *testing.T) {
	t.Parallel()
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		a := newHost(t, "a").on("/ws", accept(echo))
		l := start(t, all(kind, fronts, func(l *lab) { l.cfg.ShutdownGrace = 2 * time.Second }), a)
		terminal, idle, passed := dial(l).open("/ws", mark), dial(l), dial(l)
		idle.send(get("/x?token=" + mark)).want(200)
		passed.send(get("/x?token=" + mark)).want(200)
		l.retire().begin(nil, a)
		passed.send(get("/x?token=" + mark)).want(200)
		terminal.ping()
		l.cancel()
		terminal.ping()
		idle.expectEnd()
		_, _ = io.Copy(io.Discard, terminal.in)
		l.stop()
		if l.listener.TLS == nil { // it has nothing of the older process any more
			passed.send(get("/x?token=" + mark)).want(200)
		} else {
			passed.expectEnd()
		}
	})
}

// TestARequestWhoseHostFailsIsChosenForByTheNewestProcess: an older one has no fallback.
func TestARequestWhoseHostFailsIsChosenForByTheNewestProcess(t *testing.T) {
	t.Parallel()
	a, b := newHost(t, "a"), newHost(t, "b")
	asked := make(chan bool)
	a.on("/page", func(w *wire, _ *http.Request) bool {
		asked <- true
		_, _ = w.in.ReadByte()
		return false
	})
	l := start(t, fronts, a, b)
	w := l.dial().send(get("/page?token=" + l.token("a")))
	<-asked
	r := l.retire()
	r.begin(func(y *lab) {}, b)
	l.hosts[0].Verdict = route.Down
	l.use() // wakes the wait for the host
	if got := w.want(200).body; got != "b GET /page" {
		t.Errorf("got %q", got)
	}
	r.young.logged("/page")
	w.Close()
	l.outlived()
}

// TestTheRelaysOfARetiredProcessCanBeClosed, so that it ends.
func TestTheRelaysOfARetiredProcessCanBeClosed(t *testing.T) {
	a := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, all(withTLS(t, nil), fronts), a)
	terminal, relayed := l.dialTLS().open("/ws", mark), l.dialTLS()
	relayed.send(get("/x?token=" + mark)).want(200)
	young := l.retire().begin(nil, a)
	relayed.open("/ws", mark).ping()
	if n := gaugeValue(l, "lb_connections_relayed"); n != 1 {
		t.Errorf("%v relays are counted, want 1", n)
	}
	l.p.CloseTunnels(t.Context(), 1000, tunnel.ByUpgrade)
	_, _ = io.Copy(io.Discard, terminal.in)
	_, _ = io.Copy(io.Discard, relayed.in)
	terminal.Close()
	l.outlived()
	if n := gaugeValue(l, "lb_connections_relayed"); n != 0 {
		t.Errorf("%v relays are counted, want none", n)
	}
	eventually(t, "the end of the terminal in the newest process", func() bool { return young.sessionsOf("a") == 0 })
}
