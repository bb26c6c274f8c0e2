package proxy

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/http1"
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

// carried runs a tunnel in memory for test, which has both of its far ends, and
// returns why and after how long it ended.
func carried(t *testing.T, test func(client, host *duplex)) (why string, took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		client, near := newDuplex()
		far, host := newDuplex()
		p := New(Config{Timeouts: Timeouts{Tunnel: time.Hour, Idle: time.Minute}}, Options{Metrics: NewMetrics(prometheus.NewRegistry())})
		c := newConn(&server{p: p}, near)
		c.in = http1.NewReader(near, http1.Limits{})
		tun, begin := &tunnel{}, time.Now()
		tun.watch(near, far)
		go test(client, host)
		c.carry(tun, newLink(far))
		why, took = tun.ended(), time.Since(begin)
	})
	return why, took
}

func within(t *testing.T, took, low, high time.Duration) {
	t.Helper()
	if took < low || took > high {
		t.Errorf("took %v, want %v to %v", took, low, high)
	}
}

func TestQuietTunnelEnds(t *testing.T) {
	why, took := carried(t, func(_, _ *duplex) {})
	if why != endTimeout {
		t.Errorf("ended by %q", why)
	}
	within(t, took, time.Hour, 75*time.Minute)
}

func TestTunnelThatIsQuietInOneDirectionLives(t *testing.T) {
	for _, name := range []string{"client", "host"} {
		why, took := carried(t, func(client, host *duplex) {
			from, to := client, host
			if name == "host" {
				from, to = host, client
			}
			go func() { _, _ = io.Copy(io.Discard, to) }()
			for range 20 {
				time.Sleep(50 * time.Minute)
				_, _ = from.Write([]byte("x"))
			}
		})
		if why != endTimeout {
			t.Errorf("ended by %q", why)
		}
		within(t, took, 20*50*time.Minute+time.Hour, 20*50*time.Minute+100*time.Minute)
	}
}

func TestHalfClosedTunnelHasLessPatience(t *testing.T) {
	for _, name := range []string{"client", "host"} {
		why, took := carried(t, func(client, host *duplex) {
			from, to := client, host
			if name == "host" {
				from, to = host, client
			}
			time.Sleep(30 * time.Minute)
			_ = from.CloseWrite()
			if n, err := to.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("got %d bytes, %v, want the end", n, err)
			}
			for range 5 { // the other half is still open
				time.Sleep(50 * time.Second)
				_, _ = to.Write([]byte("x"))
				_, _ = from.Read(make([]byte, 1))
			}
		})
		if why != endTimeout {
			t.Errorf("ended by %q", why)
		}
		within(t, took, 30*time.Minute+310*time.Second, 30*time.Minute+350*time.Second)
	}
}

func TestTunnelEndsWhenASideTakesNothing(t *testing.T) {
	why, took := carried(t, func(client, _ *duplex) {
		_, _ = client.Write([]byte("nobody reads this"))
	})
	if why != endHost && why != endTimeout {
		t.Errorf("ended by %q", why)
	}
	within(t, took, time.Hour, 75*time.Minute)
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

func TestIdleLinksAreClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		near, far := newDuplex()
		l := newLink(near)
		u.put(l)
		begin := time.Now()
		time.Sleep(20 * time.Second)
		near2, far2 := newDuplex()
		u.put(newLink(near2))
		_, _ = io.ReadAll(far)
		within(t, time.Since(begin), maxIdleTime, maxIdleTime+time.Second)
		_, _ = io.ReadAll(far2)
		within(t, time.Since(begin), maxIdleTime+20*time.Second, maxIdleTime+21*time.Second)
		if u.take() != nil {
			t.Error("a closed link is handed out")
		}
		far.Close()
		far2.Close()
	})
}
