package proxy

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// parks has connections parked after a moment.
func parks(l *lab) { l.cfg.lingering = 5 * time.Millisecond }

// both runs test with plain connections and with TLS.
func both(t *testing.T, change func(*lab), test func(t *testing.T, l *lab, dial func() *wire)) {
	t.Run("plain", func(t *testing.T) {
		l := start(t, change, newHost(t, "a"))
		test(t, l, l.dial)
	})
	t.Run("tls", func(t *testing.T) {
		l := start(t, func(l *lab) { withTLS(t, nil)(l); change(l) }, newHost(t, "a"))
		test(t, l, l.dialTLS)
	})
}

func (l *lab) waitParked(n float64) {
	l.t.Helper()
	eventually(l.t, fmt.Sprint(n, " parked connections"), func() bool { return gaugeValue(l, "lb_connections_parked") == n })
}

func TestIdleConnectionIsParkedAndServedAgain(t *testing.T) {
	both(t, parks, func(t *testing.T, l *lab, dial func() *wire) {
		w := dial()
		for range 5 {
			w.send(get("/")).want(200)
			l.waitParked(1)
		}
		w.send("GET / HTTP/1.1\r\nHo")
		l.waitParked(0)
		w.send("st: x\r\n\r\n" + get("/")).want(200)
		w.want(200)
		l.waitParked(1)
		w.send("\x00").want(400)
		w.expectEnd()
	})
}

func TestParkedConnectionStaysParked(t *testing.T) {
	t.Parallel()
	both(t, parks, func(t *testing.T, l *lab, dial func() *wire) {
		dial().send(get("/")).want(200)
		l.waitParked(1)
		for range 200 {
			time.Sleep(500 * time.Microsecond)
			if gaugeValue(l, "lb_connections_parked") != 1 {
				t.Fatal("it was woken, though nothing came")
			}
		}
	})
}

func TestParkedConnectionThatIsClosedIsForgotten(t *testing.T) {
	both(t, parks, func(t *testing.T, l *lab, dial func() *wire) {
		w := dial()
		w.send(get("/")).want(200)
		l.waitParked(1)
		w.Close()
		eventually(t, "the end", func() bool { return gaugeValue(l, "lb_connections") == 0 })
		l.waitParked(0)
	})
}

func TestParkedConnectionEndsWhenItsTimeHasPassed(t *testing.T) {
	t.Parallel()
	const idle = 200 * time.Millisecond
	short := func(l *lab) { parks(l); l.cfg.Timeouts.Idle = idle }
	both(t, short, func(t *testing.T, l *lab, dial func() *wire) {
		w := dial()
		w.send(get("/")).want(200)
		begin := time.Now()
		_, _ = w.in.ReadByte()
		within(t, time.Since(begin), idle-20*time.Millisecond, 5*time.Second)
	})
}

// TestWakingWithoutARequestGainsNoTime: the bytes of a TLS record that never
// ends wake a parked connection, but its time goes on.
func TestWakingWithoutARequestGainsNoTime(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second
	l := start(t, func(l *lab) {
		withTLS(t, nil)(l)
		parks(l)
		l.cfg.Timeouts.Idle = idle
	}, newHost(t, "a"))
	w := l.dialTLS()
	w.send(get("/")).want(200)
	begin := time.Now()
	l.waitParked(1)
	record := append([]byte{0x17, 3, 3, 0x40, 0}, make([]byte, 1<<14)...)
	for _, b := range record {
		if _, err := w.Conn.(*tls.Conn).NetConn().Write([]byte{b}); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
		if time.Since(begin) > 5*idle {
			t.Fatal("it lives on")
		}
	}
	within(t, time.Since(begin), idle-100*time.Millisecond, 5*idle)
}

func TestStopEndsParkedConnectionsAtOnce(t *testing.T) {
	both(t, parks, func(t *testing.T, l *lab, dial func() *wire) {
		for range 20 {
			dial().send(get("/")).want(200)
		}
		l.waitParked(20)
		begin := time.Now()
		l.stop()
		within(t, time.Since(begin), 0, 5*time.Second)
	})
}

// TestConnectionsParkAndWakeAtAnyMoment has clients pause around the moment at
// which their connections are parked, end at any, and the proxy stop meanwhile.
func TestConnectionsParkAndWakeAtAnyMoment(t *testing.T) {
	t.Parallel()
	both(t, func(l *lab) { l.cfg.lingering = time.Millisecond }, func(t *testing.T, l *lab, dial func() *wire) {
		var wg sync.WaitGroup
		for range 16 {
			w := dial()
			wg.Go(func() {
				for range 50 {
					w.send(get("/")).want(200)
					time.Sleep(time.Duration(rand.IntN(2500)) * time.Microsecond)
				}
			})
			quitter := dial()
			wg.Go(func() {
				quitter.send(get("/")).want(200)
				time.Sleep(time.Duration(rand.IntN(2500)) * time.Microsecond)
				quitter.Close()
			})
		}
		wg.Wait()
		for range 16 {
			dial().send(get("/")).want(200)
		}
	})
}

func TestBuffersOfTheHandshakeAreNotKept(t *testing.T) {
	if !canShed {
		t.Fatal("crypto/tls has changed: shed.go doesn't know its fields any more")
	}
	far, near := connected(t)
	l := &lab{}
	withTLS(t, nil)(l)
	server, client := tls.Server(near, l.listener.TLS), tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error)
	go func() { done <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	capacity := func() int { raw, hand, _ := inputs(server); return raw.Cap() + hand.Cap() }
	if capacity() < 1000 {
		t.Fatalf("%d bytes are there to be shed", capacity())
	}
	shed(server, 1<<20)
	if capacity() < 1000 {
		t.Error("shed although it may be kept")
	}
	shed(server, 0)
	if capacity() > 0 {
		t.Errorf("%d bytes are kept", capacity())
	}
	got := make([]byte, 3)
	for range 3 {
		if _, err := client.Write([]byte("abcdef")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"abc", "def"} {
			if n, err := server.Read(got); err != nil || string(got[:n]) != want {
				t.Fatalf("got %q, %v, want %q", got[:n], err, want)
			}
			shed(server, 0) // must leave alone what is still to be read
		}
	}
	if capacity() > 0 {
		t.Errorf("%d bytes are kept", capacity())
	}
	_ = server.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := server.Read(got); !timedOut(err) {
		t.Error(err)
	}
}
