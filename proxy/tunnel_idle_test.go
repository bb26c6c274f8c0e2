package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/park"
	"tokenring/pool"
)

// A duplex is an in-memory connection whose directions close one by one.
type duplex struct {
	net.Conn          // what is read from
	to       net.Conn // what is written to
}

func newDuplex() (a, b *duplex) {
	ar, bw := net.Pipe()
	br, aw := net.Pipe()
	return &duplex{ar, aw}, &duplex{br, bw}
}

func (d *duplex) Write(b []byte) (int, error)        { return d.to.Write(b) }
func (d *duplex) SetWriteDeadline(t time.Time) error { return d.to.SetWriteDeadline(t) }
func (d *duplex) CloseWrite() error                  { return d.to.Close() }
func (d *duplex) Close() error                       { d.Conn.Close(); return d.to.Close() }

// A bench is a tunnel between two TCP connections whose lot is the test: it
// says when there are events and what time it is.
type bench struct {
	t            *testing.T
	tun          *tunnel
	client, host *net.TCPConn // the far ends
	now          time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	lot, err := park.New(time.Hour) // never runs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = lot.Run(ctx)
	})
	p := New(Config{}, Options{Metrics: NewMetrics(prometheus.NewRegistry())})
	b := &bench{t: t, tun: &tunnel{upstream: &upstream{name: "a"}, idle: time.Hour, short: time.Minute}}
	b.tun.client.side, b.tun.back.side = endClient, endHost
	p.sessions.enter([]byte("key"), b.tun, nil)
	a := &account{srv: &server{p: p, lives: map[life]struct{}{}}, upstream: newUpstream(&pool.Host{Gauges: new(pool.Gauges)}, &Config{})}
	a.open(b.tun)
	client, near := connected(t)
	host, far := connected(t)
	b.client, b.host = client, host
	if err := b.tun.open(passage{client: near, host: far, lot: lot, account: a}, []byte("head"), []byte("early")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.tun.end(endShutdown)
		if n, _ := p.sessions.host([]byte("key")); n != "" || len(a.srv.lives) > 0 {
			t.Error("a tunnel that has ended is still counted")
		}
	})
	b.now = b.tun.last
	b.read(b.client, "head")
	b.read(b.host, "early")
	return b
}

// connected returns both ends of a TCP connection.
func connected(t *testing.T) (far, near *net.TCPConn) {
	t.Helper()
	ln := listen(t)
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// pass lets time pass, with a tick every ten seconds.
func (b *bench) pass(d time.Duration) {
	for end := b.now.Add(d); b.now.Before(end) && b.tun.ended() == ""; {
		b.now = b.now.Add(min(end.Sub(b.now), 10*time.Second))
		b.tun.Tick(b.now)
	}
}

// events makes events of both sockets until the tunnel has nothing to do.
func (b *bench) events(hangUp bool) {
	for _, fd := range []int{b.tun.client.fd, b.tun.back.fd} {
		for b.tun.Ready(fd, park.Event{Now: b.now, HangUp: hangUp}) {
		}
	}
}

// say writes text on one far end and waits until it has come out at the other.
func (b *bench) say(from, to *net.TCPConn, text string) {
	b.t.Helper()
	if _, err := from.Write([]byte(text)); err != nil {
		b.t.Fatal(err)
	}
	b.read(to, text)
}

// read wants text to come, and has the tunnel look for it.
func (b *bench) read(from *net.TCPConn, text string) {
	b.t.Helper()
	got := make([]byte, len(text))
	for n, end := 0, time.Now().Add(10*time.Second); n < len(got); {
		if time.Now().After(end) {
			b.t.Fatalf("got %q, want %q", got[:n], text)
		}
		b.events(false)
		_ = from.SetReadDeadline(time.Now().Add(time.Millisecond))
		more, err := from.Read(got[n:])
		if n += more; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			b.t.Fatal(err)
		}
	}
	if string(got) != text {
		b.t.Fatalf("got %q, want %q", got, text)
	}
}

// ended wants the tunnel to have ended, for that reason.
func (b *bench) ended(why string) {
	b.t.Helper()
	if got := b.tun.ended(); got != why {
		b.t.Errorf("ended by %q, want %q", got, why)
	}
}

func TestQuietTunnelEnds(t *testing.T) {
	b := newBench(t)
	b.pass(59 * time.Minute)
	b.ended("")
	b.pass(2 * time.Minute)
	b.ended(endTimeout)
}

func TestTunnelThatIsQuietInOneDirectionLives(t *testing.T) {
	for _, name := range []string{"client", "host"} {
		b := newBench(t)
		from, to := b.client, b.host
		if name == "host" {
			from, to = to, from
		}
		for range 20 {
			b.pass(50 * time.Minute)
			b.say(from, to, "x")
		}
		b.ended("")
		b.pass(61 * time.Minute)
		b.ended(endTimeout)
	}
}

func TestHalfClosedTunnelHasLessPatience(t *testing.T) {
	for _, name := range []string{"client", "host"} {
		b := newBench(t)
		from, to := b.client, b.host
		if name == "host" {
			from, to = to, from
		}
		b.pass(30 * time.Minute)
		_ = from.CloseWrite()
		for b.tun.first == "" {
			b.events(true)
		}
		_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := to.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("got %d bytes, %v, want the end", n, err)
		}
		for range 5 { // the other half is still open
			b.pass(50 * time.Second)
			b.say(to, from, "x")
		}
		b.ended("")
		b.pass(61 * time.Second)
		b.ended(endTimeout)
	}
}

// TestSideThatTakesNothing: at most a few pieces are kept for it, the other side
// has to wait, the other direction goes on, and what was kept arrives later.
func TestSideThatTakesNothing(t *testing.T) {
	b := newBench(t)
	flood := make([]byte, 1<<20)
	for i := range flood {
		flood[i] = byte(i % 251)
	}
	sent := 0
	for stuck := 0; stuck < 20; {
		_ = b.host.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
		n, err := b.host.Write(flood[sent%len(flood):])
		sent += n
		b.events(false)
		if stuck++; err == nil || n > 0 {
			stuck = 0
		}
	}
	if kept := len(b.tun.client.unsent); kept == 0 || kept > pieceSize {
		t.Errorf("%d bytes are kept", kept)
	}
	b.say(b.client, b.host, "the other direction goes on")
	_ = b.host.CloseWrite()
	buf := make([]byte, 1<<16)
	for got := 0; got < sent; {
		b.events(true)
		_ = b.client.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := b.client.Read(buf)
		for i, c := range buf[:n] {
			if want := byte((got + i) % len(flood) % 251); c != want {
				t.Fatalf("byte %d is %d, want %d", got+i, c, want)
			}
		}
		if got += n; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("after %d of %d bytes: %v", got, sent, err)
		}
	}
	b.say(b.client, b.host, "and still does")
	if b.tun.client.unsent != nil {
		t.Error("a buffer is kept for nothing")
	}
}

func TestSideThatTakesNothingForTooLongEndsTheTunnel(t *testing.T) {
	b := newBench(t)
	flood := make([]byte, 1<<16)
	for b.tun.client.unsent == nil {
		_ = b.host.SetWriteDeadline(time.Now().Add(time.Millisecond))
		_, _ = b.host.Write(flood)
		b.events(false)
	}
	b.pass(61 * time.Minute)
	b.ended(endTimeout)
}

func TestEventsWithoutNeedChangeNothing(t *testing.T) {
	b := newBench(t)
	for range 100 {
		b.events(false)
	}
	b.say(b.client, b.host, "here")
	b.ended("")
	b.tun.end(endMaint)
	b.events(true)
	b.tun.Tick(b.now.Add(24 * time.Hour))
	b.ended(endMaint)
}

// within wants a duration between two others.
func within(t *testing.T, took, low, high time.Duration) {
	t.Helper()
	if took < low || took > high {
		t.Errorf("took %v, want %v to %v", took, low, high)
	}
}

func TestDeadlinesMoveLazilyAndNeverTooFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at time.Time
		sets := 0
		d := deadline{set: func(t time.Time) error { at = t; sets++; return nil }}
		for range 1000 {
			d.within(time.Minute)
			if left := time.Until(at); left < time.Minute || left > 75*time.Second {
				t.Fatalf("%v are left", left)
			}
			time.Sleep(time.Second)
		}
		if sets > 70 {
			t.Errorf("set %d times in 1000 s", sets)
		}
		d.within(time.Second)
		if left := time.Until(at); left > 1250*time.Millisecond {
			t.Errorf("%v are left, want about a second", left)
		}
	})
}
