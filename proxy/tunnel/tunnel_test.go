package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"tokenring/poller"
)

// A bench is a tunnel between two TCP connections whose poller is the test: it
// says when there are events and what time it is.
type bench struct {
	t            *testing.T
	tun          *Tunnel
	client, host *net.TCPConn // the far ends
	now          time.Time
	told         []Stats      // as the tunnel's owner
	sentAt       time.Time    // by the last call of HostSent
	closed       atomic.Int32 // calls of Closed
}

// Ended implements Owner.
func (b *bench) Ended(s Stats) { b.told = append(b.told, s) }

// HostSent implements Owner.
func (b *bench) HostSent(now time.Time) { b.sentAt = now }

// Closed implements Owner.
func (b *bench) Closed() { b.closed.Add(1) }

func newBench(t *testing.T) *bench {
	t.Helper()
	idle, err := poller.New(time.Hour) // never runs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = idle.Run(ctx)
	})
	b := &bench{t: t, tun: new(Tunnel)}
	client, near := connected(t)
	host, far := connected(t)
	b.client, b.host = client, host
	o := Options{Client: near, Host: far, Poller: idle, Owner: b, Idle: time.Hour, HalfClosed: time.Minute}
	if err := b.tun.Open(o, Greeting{Head: []byte("head"), FromClient: []byte("early")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.tun.End(ByShutdown)
		want := b.tun.Stats()
		if len(b.told) == 1 {
			want.Buffered = b.told[0].Buffered // for a client that lingers
		}
		if len(b.told) != 1 || b.told[0] != want {
			t.Errorf("its owner was told of the ends %v, want %v", b.told, want)
		}
	})
	b.now = epoch.Add(b.tun.last)
	b.read(b.client, "head")
	b.read(b.host, "early")
	return b
}

// connected returns both ends of a TCP connection.
func connected(t *testing.T) (far, near *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
	for end := b.now.Add(d); b.now.Before(end) && b.tun.Stats().Why == ""; {
		b.now = b.now.Add(min(end.Sub(b.now), 10*time.Second))
		b.tun.Tick(b.now)
	}
}

// events makes events of both sockets until the tunnel has nothing to do.
func (b *bench) events(hangUp bool) {
	for _, fd := range []int{b.tun.client.FD(), b.tun.host.FD()} {
		for b.tun.Ready(fd, poller.Event{Now: b.now, HangUp: hangUp}) {
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
func (b *bench) ended(why Reason) {
	b.t.Helper()
	if got := b.tun.Stats().Why; got != why {
		b.t.Errorf("ended by %q, want %q", got, why)
	}
}

// TestATunnelStaysInItsSizeClass guards what each idle terminal costs.
func TestATunnelStaysInItsSizeClass(t *testing.T) {
	const class = 224 // of Go's allocator; the next one is 240
	if size := unsafe.Sizeof(Tunnel{}); size > class {
		t.Errorf("a tunnel has %d bytes, want up to %d", size, class)
	}
}

func TestATunnelThatHasEndedDoesNotOpen(t *testing.T) {
	tun := new(Tunnel)
	tun.End(ByMaint)
	tun.End(ByShutdown)
	client, near := connected(t)
	host, far := connected(t)
	if err := tun.Open(Options{Client: near, Host: far}, Greeting{}); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v, want %v", err, ErrEnded)
	}
	if got := tun.Stats(); got != (Stats{Why: ByMaint}) || tun.Opened() {
		t.Errorf("got %v, opened %t", got, tun.Opened())
	}
	for far, near := range map[net.Conn]net.Conn{client: near, host: far} { // both connections are as they were
		if _, err := near.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		_ = far.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := far.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	}
}

func TestAClientThatIsNoSocketClosesTheHost(t *testing.T) {
	client, other := net.Pipe()
	defer client.Close()
	defer other.Close()
	host, far := connected(t)
	tun := new(Tunnel)
	if err := tun.Open(Options{Client: client, Host: far}, Greeting{}); !errors.Is(err, errors.ErrUnsupported) || tun.Opened() {
		t.Errorf("got %v, opened %t", err, tun.Opened())
	}
	_ = host.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := host.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
}

// TestStatsTellWhichSideClosedOrFailed also counts the bytes of both sides.
func TestStatsTellWhichSideClosedOrFailed(t *testing.T) {
	reset := func(nc *net.TCPConn) { _ = nc.SetLinger(0); nc.Close() }
	for name, row := range map[string]struct {
		do   func(b *bench)
		want Stats
	}{
		"the client closes":   {func(b *bench) { b.client.Close(); b.host.Close() }, Stats{Why: ByClient, Closed: true, FromClient: 3, FromHost: 5}},
		"the host breaks off": {func(b *bench) { reset(b.host) }, Stats{Why: ByHost, FromClient: 3, FromHost: 5}},
	} {
		b := newBench(t)
		b.say(b.client, b.host, "abc")
		b.say(b.host, b.client, "defgh")
		row.do(b)
		for end := time.Now().Add(10 * time.Second); b.tun.Stats().Why == "" && time.Now().Before(end); {
			b.events(false)
		}
		if len(b.told) != 1 {
			t.Fatalf("%s: got %v, want %v", name, b.told, row.want)
		}
		got := b.told[0]
		if ago := time.Since(got.Last); ago < 0 || ago > time.Minute {
			t.Errorf("%s: the last byte was %v ago", name, ago)
		}
		if got.Last = (time.Time{}); got != row.want {
			t.Errorf("%s: got %v, want %v", name, got, row.want)
		}
	}
}

func TestQuietTunnelEnds(t *testing.T) {
	b := newBench(t)
	b.pass(59 * time.Minute)
	b.ended("")
	if q := b.tun.Quiet(b.now); q < 59*time.Minute || q > 60*time.Minute {
		t.Errorf("it was quiet for %v, want 59 minutes", q)
	}
	b.pass(2 * time.Minute)
	b.ended(ByTimeout)
}

func TestTunnelThatIsQuietInOneDirectionStaysOpen(t *testing.T) {
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
		b.ended(ByTimeout)
	}
}

func TestATunnelTellsWhenBytesComeFromTheHost(t *testing.T) {
	b := newBench(t)
	b.sentAt = time.Time{}
	b.pass(time.Minute)
	b.say(b.client, b.host, "from the client")
	b.events(false)
	if !b.sentAt.IsZero() {
		t.Error("bytes of the client, and events without bytes, count as the host's")
	}
	b.pass(time.Minute)
	b.say(b.host, b.client, "from the host")
	if b.sentAt != b.now {
		t.Errorf("it told of %v, want %v", b.sentAt, b.now)
	}
}

func TestHalfClosedTunnelEndsSooner(t *testing.T) {
	for _, name := range []string{"client", "host"} {
		b := newBench(t)
		from, to := b.client, b.host
		if name == "host" {
			from, to = to, from
		}
		b.pass(30 * time.Minute)
		_ = from.CloseWrite()
		for b.tun.first == nil {
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
		b.ended(ByTimeout)
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
	if kept := b.tun.client.Unsent(); kept == 0 || kept > pieceSize {
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
	if b.tun.client.Unsent() > 0 {
		t.Error("a buffer is kept for nothing")
	}
}

func TestSideThatTakesNothingForTooLongEndsTheTunnel(t *testing.T) {
	b := newBench(t)
	flood := make([]byte, 1<<16)
	for b.tun.client.Unsent() == 0 {
		_ = b.host.SetWriteDeadline(time.Now().Add(time.Millisecond))
		_, _ = b.host.Write(flood)
		b.events(false)
	}
	b.pass(61 * time.Minute)
	b.ended(ByTimeout)
}

func TestSpuriousEventsChangeNothing(t *testing.T) {
	b := newBench(t)
	for range 100 {
		b.events(false)
	}
	b.say(b.client, b.host, "here")
	b.ended("")
	b.tun.End(ByMaint)
	b.events(true)
	b.tun.Tick(b.now.Add(24 * time.Hour))
	b.ended(ByMaint)
}
