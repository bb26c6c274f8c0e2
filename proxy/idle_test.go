package proxy

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// registersSoon has connections registered with a poller after a moment.
func registersSoon(l *lab) { l.cfg.lingering = 5 * time.Millisecond }

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

func (l *lab) waitRegistered(n float64) {
	l.t.Helper()
	eventually(l.t, fmt.Sprint(n, " registered connections"), func() bool { return gaugeValue(l, "lb_connections_parked") == n })
}

func TestIdleConnectionIsRegisteredAndServedAgain(t *testing.T) {
	both(t, registersSoon, func(t *testing.T, l *lab, dial func() *wire) {
		w := dial()
		for range 5 {
			w.send(get("/")).want(200)
			l.waitRegistered(1)
		}
		w.send("GET / HTTP/1.1\r\nHo")
		l.waitRegistered(0)
		w.send("st: x\r\n\r\n" + get("/")).want(200)
		w.want(200)
		l.waitRegistered(1)
		w.send("\x00").want(400)
		w.expectEnd()
	})
}

func TestRegisteredConnectionStaysRegistered(t *testing.T) {
	t.Parallel()
	both(t, registersSoon, func(t *testing.T, l *lab, dial func() *wire) {
		dial().send(get("/")).want(200)
		l.waitRegistered(1)
		for range 200 {
			time.Sleep(500 * time.Microsecond)
			if gaugeValue(l, "lb_connections_parked") != 1 {
				t.Fatal("it was woken, though nothing came")
			}
		}
	})
}

func TestRegisteredConnectionThatIsClosedIsForgotten(t *testing.T) {
	both(t, registersSoon, func(t *testing.T, l *lab, dial func() *wire) {
		w := dial()
		w.send(get("/")).want(200)
		l.waitRegistered(1)
		w.Close()
		eventually(t, "the end", func() bool { return gaugeValue(l, "lb_connections") == 0 })
		l.waitRegistered(0)
	})
}

func TestRegisteredConnectionEndsWhenItsTimeHasPassed(t *testing.T) {
	t.Parallel()
	const idle = 200 * time.Millisecond
	short := func(l *lab) { registersSoon(l); l.cfg.Timeouts.Idle = idle }
	both(t, short, func(t *testing.T, l *lab, dial func() *wire) {
		w := dial()
		begin := time.Now() // on a busy machine, the time has begun when the answer is read
		w.send(get("/")).want(200)
		_, _ = w.in.ReadByte()
		within(t, time.Since(begin), idle-20*time.Millisecond, 20*time.Second)
	})
}

// TestWakingWithoutARequestDoesNotExtendTheTimeout: the bytes of a TLS record that never
// ends wake a registered connection, but its time goes on.
func TestWakingWithoutARequestDoesNotExtendTheTimeout(t *testing.T) {
	t.Parallel()
	const idle = 2 * time.Second
	l := start(t, func(l *lab) {
		withTLS(t, nil)(l)
		registersSoon(l)
		l.cfg.Timeouts.Idle = idle
	}, newHost(t, "a"))
	w := l.dialTLS()
	w.send(get("/")).want(200)
	begin := time.Now()
	l.waitRegistered(1)
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

func TestStopEndsRegisteredConnectionsAtOnce(t *testing.T) {
	both(t, registersSoon, func(t *testing.T, l *lab, dial func() *wire) {
		for range 20 {
			dial().send(get("/")).want(200)
		}
		l.waitRegistered(20)
		begin := time.Now()
		l.stop()
		within(t, time.Since(begin), 0, 5*time.Second)
	})
}

// TestConnectionsRegisterAndWakeAtAnyMoment has clients pause around the moment at
// which their connections are registered, end at any, and the proxy stop meanwhile.
func TestConnectionsRegisterAndWakeAtAnyMoment(t *testing.T) {
	t.Parallel()
	both(t, func(l *lab) { l.cfg.lingering = time.Millisecond }, func(t *testing.T, l *lab, dial func() *wire) {
		var wg sync.WaitGroup
		for range 16 {
			w := dial()
			wg.Go(func() {
				for range 50 {
					_ = w.SetDeadline(time.Now().Add(10 * time.Second)) // for each request, on a busy machine
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

// within wants a duration between two others.
func within(t *testing.T, took, low, high time.Duration) {
	t.Helper()
	if took < low || took > high {
		t.Errorf("took %v, want %v to %v", took, low, high)
	}
}
