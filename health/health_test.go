package health

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A region is a set of hosts in memory. It answers a monitor's dials.
type region struct {
	mu      sync.Mutex
	answers map[string]string // by address: raw answer, or one of the words below
	asked   map[string][]time.Time
	open    int // connections that the monitor hasn't closed
	most    int // most of them at once, of one address
}

const (
	refuses = "refuses"
	hangs   = "hangs"
	starved = "starved" // this machine is out of files
	ok200   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	bad503  = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
)

func newRegion() *region {
	return &region{answers: map[string]string{}, asked: map[string][]time.Time{}}
}

func (r *region) set(address, answer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[address] = answer
}

func (r *region) times(address string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.asked[address]...)
}

func (r *region) dial(ctx context.Context, _, address string) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[address] = append(r.asked[address], time.Now())
	answer := r.answers[address]
	switch answer {
	case refuses:
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case starved:
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	}
	local, theirs := net.Pipe()
	r.open++
	r.most = max(r.most, r.open)
	go r.serve(theirs, answer)
	return local, nil
}

func (r *region) serve(conn net.Conn, answer string) {
	_, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil && answer != hangs {
		io.WriteString(conn, answer)
		conn.Close()
	}
	io.Copy(io.Discard, conn)
	conn.Close()
	r.mu.Lock()
	r.open--
	r.mu.Unlock()
}

// A log of statuses by name.
type book struct {
	mu   sync.Mutex
	seen map[string][]Status
}

func (b *book) report(name string, s Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[name] = append(b.seen[name], s)
}

func (b *book) all(name string) []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Status(nil), b.seen[name]...)
}

func (b *book) last(name string) Status {
	all := b.all(name)
	if len(all) == 0 {
		return Status{}
	}
	return all[len(all)-1]
}

// inBubble runs story with a running monitor over r, and ends the monitor.
func inBubble(t *testing.T, cfg Config, story func(*Monitor, *region, *book)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, b := newRegion(), &book{seen: map[string][]Status{}}
		m := New(cfg, zerolog.Nop(), b.report)
		m.dial = r.dial
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		story(m, r, b)
		cancel()
		start := time.Now()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("Run took %v to end", d)
		}
		synctest.Wait()
		if r.open != 0 {
			t.Errorf("%d connections left open", r.open)
		}
	})
}

func TestFirstResultComesAtOnceAndDecides(t *testing.T) {
	inBubble(t, Config{}, func(m *Monitor, r *region, b *book) {
		r.set("good:1", ok200)
		r.set("bad:1", refuses)
		start := time.Now()
		m.Watch([]Target{{Name: "good", Address: "good:1"}, {Name: "bad", Address: "bad:1"}})
		synctest.Wait()
		if s := b.last("good"); !s.Known || !s.Up || s.Error != "" || !s.Since.Equal(start) {
			t.Errorf("good: got %+v", s)
		}
		if s := b.last("bad"); !s.Known || s.Up || s.Error != "connection refused" {
			t.Errorf("bad: got %+v", s)
		}
		if ok, failed := m.Counts(); ok != 1 || failed != 1 {
			t.Errorf("got counts %d and %d, want 1 and 1", ok, failed)
		}
	})
}

func TestHostGoesDownAfterFallFailuresAndBackUpAfterRise(t *testing.T) {
	inBubble(t, Config{Interval: 2 * time.Second}, func(m *Monitor, r *region, b *book) {
		r.set("h:1", ok200)
		m.Watch([]Target{{Name: "h", Address: "h:1"}})
		time.Sleep(time.Second)
		r.set("h:1", bad503)
		time.Sleep(1600 * time.Millisecond) // failures at 1.8–2.2 s, 2.25–2.75 s and 2.7–3.3 s
		if s := b.last("h"); !s.Up || s.Error != "status 503" {
			t.Errorf("after 2.6 s: got %+v, want up with its first failures shown", s)
		}
		time.Sleep(800 * time.Millisecond)
		down := b.last("h")
		if down.Up || time.Since(down.Since) > time.Second {
			t.Errorf("after 3.4 s: got %+v, want down for less than a second", down)
		}
		r.set("h:1", ok200)
		time.Sleep(4 * time.Second)
		if s := b.last("h"); !s.Up || s.Error != "" || !s.Since.After(down.Since) {
			t.Errorf("after 7.4 s: got %+v, want up again", s)
		}
	})
}

func TestEveryResultIsReported(t *testing.T) {
	inBubble(t, Config{Interval: time.Second}, func(m *Monitor, r *region, b *book) {
		r.set("h:1", ok200)
		m.Watch([]Target{{Name: "h", Address: "h:1"}})
		time.Sleep(20 * time.Second)
		all := b.all("h")
		if len(all) < 18 || len(all) > 23 {
			t.Errorf("got %d reports in 20 s, want about 20", len(all))
		}
		for _, s := range all {
			if !s.Since.Equal(all[0].At) {
				t.Fatalf("Since moved from %v to %v without a change", all[0].At, s.Since)
			}
		}
	})
}

func TestSuspicionBringsTheCheckForward(t *testing.T) {
	inBubble(t, Config{Interval: time.Minute}, func(m *Monitor, r *region, b *book) {
		r.set("h:1", ok200)
		m.Watch([]Target{{Name: "h", Address: "h:1"}})
		time.Sleep(time.Second)
		m.Suspect("h")
		m.Suspect("unknown")
		synctest.Wait()
		if n := len(r.times("h:1")); n != 2 {
			t.Errorf("got %d checks, want a second one at once", n)
		}
	})
}

func TestManySuspicionsCauseFewChecks(t *testing.T) {
	inBubble(t, Config{Interval: time.Minute}, func(m *Monitor, r *region, b *book) {
		r.set("h:1", ok200)
		m.Watch([]Target{{Name: "h", Address: "h:1"}})
		time.Sleep(time.Second)
		for range 2000 {
			m.Suspect("h")
			time.Sleep(time.Millisecond)
		}
		times := r.times("h:1")
		if n := len(times); n < 15 || n > 22 {
			t.Errorf("got %d checks in 2 s of suspicion, want about 20", n)
		}
		for i := 1; i < len(times); i++ {
			if d := times[i].Sub(times[i-1]); d < minSpacing {
				t.Errorf("checks %d and %d are %v apart", i-1, i, d)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.most != 1 {
			t.Errorf("%d checks of one target at once", r.most)
		}
	})
}

func TestSlowHostTimesOut(t *testing.T) {
	inBubble(t, Config{Timeout: 300 * time.Millisecond}, func(m *Monitor, r *region, b *book) {
		r.set("h:1", hangs)
		m.Watch([]Target{{Name: "h", Address: "h:1"}})
		time.Sleep(time.Second)
		if s := b.all("h")[0]; s.Up || s.Error != "timeout after 300ms" || s.Latency != 300*time.Millisecond {
			t.Errorf("got %+v", s)
		}
	})
}

func TestHostThatHangsIsFoundDownInTheTimeOfDetection(t *testing.T) {
	for want, cfg := range map[time.Duration]Config{
		5500 * time.Millisecond: {},
		6600 * time.Millisecond: {Interval: 4 * time.Second, Timeout: 100 * time.Millisecond, Fall: 2}, // the pace counts
		810 * time.Millisecond:  {Interval: 100 * time.Millisecond, Timeout: 600 * time.Millisecond, Fall: 1},
	} {
		if got := cfg.Detection(); got != want {
			t.Errorf("%+v: got %v, want %v", cfg, got, want)
		}
		inBubble(t, cfg, func(m *Monitor, r *region, b *book) {
			r.set("h:1", ok200)
			m.Watch([]Target{{Name: "h", Address: "h:1"}})
			time.Sleep(time.Millisecond) // just after a check
			r.set("h:1", hangs)
			time.Sleep(cfg.Detection())
			if s := b.last("h"); s.Up {
				t.Errorf("%+v: still up after %v", cfg, cfg.Detection())
			}
		})
	}
}

func TestRemovedTargetIsNotChecked(t *testing.T) {
	inBubble(t, Config{Interval: time.Second}, func(m *Monitor, r *region, b *book) {
		r.set("a:1", ok200)
		r.set("b:1", hangs)
		m.Watch([]Target{{Name: "a", Address: "a:1"}, {Name: "b", Address: "b:1"}})
		time.Sleep(100 * time.Millisecond) // b's check is in flight
		m.Watch([]Target{{Name: "a", Address: "a:1"}})
		synctest.Wait()
		time.Sleep(10 * time.Second)
		if n := len(b.all("b")); n != 0 {
			t.Errorf("got %d reports for a target that was removed during its first check", n)
		}
		if n := len(r.times("b:1")); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
		if n := len(r.times("a:1")); n < 9 {
			t.Errorf("the other was asked %d times, want it undisturbed", n)
		}
	})
}

func TestMovedHostHasNoVerdictUntilACheckOfTheNewAddressCounts(t *testing.T) {
	inBubble(t, Config{Interval: time.Second}, func(m *Monitor, r *region, b *book) {
		r.set("old:1", ok200)
		r.set("new:1", starved)
		m.Watch([]Target{{Name: "h", Address: "old:1"}})
		time.Sleep(500 * time.Millisecond)
		if s := b.last("h"); !s.Up || s.Address != "old:1" {
			t.Errorf("before: got %+v, want up at old:1", s)
		}
		m.Watch([]Target{{Name: "h", Address: "new:1"}})
		time.Sleep(3 * time.Second)
		if s := b.last("h"); s.Known || s.Up || s.Address != "new:1" || s.Error == "" {
			t.Errorf("no check of new:1 has counted: got %+v, want only the shortage", s)
		}
		r.set("new:1", ok200)
		time.Sleep(1100 * time.Millisecond)
		if s := b.last("h"); !s.Up || s.Address != "new:1" || time.Since(s.Since) > 1100*time.Millisecond {
			t.Errorf("new:1 has passed a check: got %+v, want up since then", s)
		}
		if n := len(r.times("old:1")); n != 1 {
			t.Errorf("the old address was asked %d times, want 1", n)
		}
	})
}

func TestOneFailureOfTheNewAddressIsEnough(t *testing.T) {
	inBubble(t, Config{Timeout: time.Second}, func(m *Monitor, r *region, b *book) {
		r.set("old:1", ok200)
		r.set("new:1", hangs)
		m.Watch([]Target{{Name: "h", Address: "old:1"}})
		time.Sleep(time.Second)
		m.Watch([]Target{{Name: "h", Address: "new:1"}})
		time.Sleep(1100 * time.Millisecond)
		if s := b.last("h"); !s.Known || s.Up || s.Address != "new:1" {
			t.Errorf("got %+v, want down by this one result", s)
		}
	})
}

func TestALocalShortageChangesNoVerdict(t *testing.T) {
	inBubble(t, Config{Interval: time.Second}, func(m *Monitor, r *region, b *book) {
		r.set("h:1", ok200)
		m.Watch([]Target{{Name: "h", Address: "h:1"}})
		time.Sleep(500 * time.Millisecond)
		r.set("h:1", starved)
		r.set("new:1", starved)
		m.Watch([]Target{{Name: "h", Address: "h:1"}, {Name: "new", Address: "new:1"}})
		time.Sleep(20 * time.Second)
		if s := b.last("h"); !s.Up || s.Error != "out of local sockets or files" {
			t.Errorf("got %+v, want up, with the shortage shown", s)
		}
		if s := b.last("new"); s.Known || s.Error == "" {
			t.Errorf("a host that couldn't be asked: got %+v, want not known", s)
		}
	})
}

// TestALocalShortageIsLogged expects one line for all hosts, and more while it lasts.
func TestALocalShortageIsLogged(t *testing.T) {
	for lasts, want := range map[time.Duration]int{30 * time.Second: 1, 90 * time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			var logged strings.Builder
			m, r := New(Config{Interval: time.Second}, zerolog.New(zerolog.SyncWriter(&logged)), func(string, Status) {}), newRegion()
			m.dial = r.dial
			r.set("a:1", starved)
			r.set("b:1", starved)
			m.Watch([]Target{{Name: "a", Address: "a:1"}, {Name: "b", Address: "b:1"}})
			ctx, cancel := context.WithTimeout(t.Context(), lasts)
			defer cancel()
			if err := m.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(logged.String(), "can't be checked"); n != want {
				t.Errorf("%d lines in %v, want %d:\n%s", n, lasts, want, logged.String())
			}
		})
	}
}

func TestManyTargetsAreAllCheckedWithinAnInterval(t *testing.T) {
	inBubble(t, Config{Interval: time.Second}, func(m *Monitor, r *region, b *book) {
		var targets []Target
		for i := range 300 {
			name := "h" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			r.set(name+":1", ok200)
			targets = append(targets, Target{Name: name, Address: name + ":1"})
		}
		m.Watch(targets)
		time.Sleep(time.Second)
		for _, target := range targets {
			if !b.last(target.Name).Up {
				t.Fatalf("%s hasn't been checked", target.Name)
			}
		}
	})
}

func TestMonitorWithoutTargetsEnds(t *testing.T) {
	inBubble(t, Config{}, func(m *Monitor, _ *region, _ *book) { m.Watch(nil) })
}
