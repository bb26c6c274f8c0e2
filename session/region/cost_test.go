package region

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/session"
)

func contextWithin(t *testing.T, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), limit)
}

// numbered returns a digest that is spread as those of tokens are.
func numbered(i int) (key balancer.Digest) {
	binary.LittleEndian.PutUint64(key[:], uint64(i)*0x9e3779b97f4a7c15)
	key[0] = byte(uint64(i) * 0x9e3779b97f4a7c15 >> 56)
	binary.LittleEndian.PutUint64(key[8:], uint64(i))
	return key
}

// tell has a peer tell n sessions, in parts as they come.
func tell(s *Stream, n int) {
	const part = 500
	hosts := []string{"ide-1", "ide-2", "ide-3"}
	reports := make([]session.Report, 0, part)
	for i := range n {
		reports = append(reports, session.Report{Digest: numbered(i), Host: hosts[i%3], Hashed: true, Terminals: 1})
		if len(reports) == part || i == n-1 {
			s.Reports(reports)
			reports = reports[:0]
		}
	}
}

func TestARemoteSessionCostsAtMost100Bytes(t *testing.T) {
	const sessions, limit = 200_000, 100
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	r := New(linger, session.New())
	before := heap()
	s := r.Begin("lb-2")
	tell(s, sessions)
	live := heap() - before
	s.SnapshotEnd()
	s.End()
	cut := heap() - before
	if per := max(live, cut) / sessions; per > limit {
		t.Errorf("%d bytes for each session, want up to %d", per, limit)
	} else {
		t.Logf("%d bytes for each session", per)
	}
	runtime.KeepAlive(r)
}

// TestNobodyWaitsForWhatVisitsAllKeys has each of these stand still in the last shard, and asks
// for the keys of another one.
func TestNobodyWaitsForWhatVisitsAllKeys(t *testing.T) {
	first, last := balancer.Digest{0, 1}, balancer.Digest{shards - 1, 1}
	for name, visit := range map[string]func(*Region, *Stream){
		"Reports": func(_ *Region, s *Stream) {
			s.Reports([]session.Report{{Digest: first, Host: "ide-2", Terminals: 1}, {Digest: last, Host: "ide-2", Terminals: 1}})
		},
		"SnapshotEnd": func(_ *Region, s *Stream) { s.SnapshotEnd() },
		"End":         func(_ *Region, s *Stream) { s.End() },
		"sweep":       func(r *Region, _ *Stream) { r.sweep(time.Now()) },
		"State":       func(r *Region, _ *Stream) { r.State(time.Now()) },
		"Watch":       func(r *Region, _ *Stream) { r.Watch().Close() },
	} {
		r := New(linger, session.New())
		s := r.Begin("lb-2")
		s.Reports([]session.Report{{Digest: first, Host: "ide-1", Terminals: 1, Hashed: true}})
		locked := r.lock(last)
		var visiting, asking sync.WaitGroup
		visiting.Go(func() { visit(r, s) })
		answered := make(chan bool, 1)
		asking.Go(func() {
			for range 1000 { // while visit goes on
				r.Host(first, time.Now())
				r.Used(first, "ide-1", time.Now())
				r.Terminals("ide-1")
			}
			answered <- true
		})
		select {
		case <-answered:
		case <-time.After(20 * time.Second):
			t.Errorf("%s: no answer", name)
		}
		locked.mu.Unlock()
		visiting.Wait()
		asking.Wait()
	}
}

func TestLookUpsDoNotAllocate(t *testing.T) {
	r := New(linger, session.New())
	live, lingers, unknown := digest("live"), digest("lingers"), digest("unknown")
	begin(r, "lb-2", on("live", "ide-1", 1))
	begin(r, "lb-3", on("live", "ide-2", 1))
	now := time.Now()
	r.Used(lingers, "ide-1", now)
	for name, f := range map[string]func(){
		"live":    func() { r.Host(live, now) },
		"lingers": func() { r.Host(lingers, now) },
		"unknown": func() { r.Host(unknown, now) },
		"used":    func() { now = now.Add(time.Second); r.Used(lingers, "ide-1", now) },
		"changed": func() { r.Changed(live) },
	} {
		if n := testing.AllocsPerRun(100, f); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	r := New(linger, session.New())
	var all sync.WaitGroup
	for _, peer := range []string{"lb-2", "lb-2", "lb-3"} {
		all.Go(func() {
			for range 20 {
				s := r.Begin(peer)
				tell(s, 200)
				s.SnapshotEnd()
				s.End()
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for i := range 2000 {
				now := time.Now()
				r.Used(numbered(i), "ide-1", now)
				r.Host(numbered(i), now)
				r.Changed(numbered(i))
				r.Lingers(numbered(i))
			}
		})
	}
	all.Go(func() {
		for range 20 {
			r.sweep(time.Now())
			r.Restore(New(linger, session.New()).State(time.Now()))
			r.Peers()
			r.SplitAlarm()
			r.State(time.Now())
		}
	})
	all.Wait()
	r.Clear()
	counted(t, r)
}

// BenchmarkLoad also measures the longest look-up meanwhile.
func BenchmarkLoad(b *testing.B) {
	const sessions = 1_000_000
	var longest time.Duration
	for b.Loop() {
		r := New(linger, session.New())
		var done atomic.Bool
		var looking sync.WaitGroup
		looking.Go(func() {
			for i := 0; !done.Load(); i++ {
				start := time.Now()
				r.Host(numbered(i%sessions), start)
				longest = max(longest, time.Since(start))
				time.Sleep(100 * time.Microsecond)
			}
		})
		s := r.Begin("lb-2")
		tell(s, sessions)
		s.SnapshotEnd()
		done.Store(true)
		looking.Wait()
	}
	b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
}

func BenchmarkHost(b *testing.B) {
	r := New(linger, session.New())
	tell(r.Begin("lb-2"), 100_000)
	tell(r.Begin("lb-3"), 100_000)
	now := time.Now()
	for name, from := range map[string]int{"live": 0, "unknown": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					r.Host(numbered(from+i%100_000), now)
				}
			})
		})
	}
}

func BenchmarkUsed(b *testing.B) {
	r := New(linger, session.New())
	now := time.Now()
	for i := 0; b.Loop(); i++ {
		r.Used(numbered(i%100_000), "ide-1", now)
	}
}
