package ringlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// TestEveryMomentThatIsKeptIsMadeAgain changes hosts at random, and asks for each moment where
// keys went then: the table is the same, bit for bit, and so is every choice. There are more
// changes than are kept, and restarts between them.
func TestEveryMomentThatIsKeptIsMadeAgain(t *testing.T) {
	for name, cfg := range policies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegion(t, cfg).with("a", "b", "c", "d", "e", "f")
			random := rand.New(rand.NewPCG(1, 2))
			shots := map[time.Time]*route.Snapshot{}
			for range 4 * MaxTables {
				r.changeAtRandom(random)
				r.records()
				shots[r.now] = r.snapshot()
				if random.IntN(30) == 0 {
					r.restarts([]string{"", "lb-1 started"}[random.IntN(2)])
				}
			}
			r.wantMoments(shots)
		})
	}
}

// changeAtRandom changes one host, and nearly always makes the table of that.
func (r *region) changeAtRandom(random *rand.Rand) {
	r.change(string(rune('a'+random.IntN(6))), func(h *route.Host) {
		switch random.IntN(5) {
		case 0:
			down(h)
		case 1:
			up(h)
		case 2:
			h.InRing, h.WhyNot = !h.InRing, map[bool]string{true: route.WhyLeaving}[h.InRing]
		case 3:
			h.Weight = 1 + random.IntN(4)
		default:
			h.Moving = !h.Moving
		}
	})
	r.frozen = random.IntN(8) == 0
	if random.IntN(10) > 0 || r.table == nil {
		r.built()
	}
}

// wantMoments checks that each moment is answered as it was then, or known to be too old.
func (r *region) wantMoments(shots map[time.Time]*route.Snapshot) {
	r.t.Helper()
	kept := 0
	for at, was := range shots {
		v, err := r.Log().View(at)
		if errors.Is(err, ErrTooOld) && at.Before(r.Log().First()) {
			continue
		}
		if err != nil {
			r.t.Fatal(err)
		}
		kept++
		got, err := v.Snapshot(r.cfg.Seed)
		if err != nil {
			r.t.Fatalf("%s: %v", at, err)
		}
		if got.Table.Digest() != was.Table.Digest() {
			r.t.Fatalf("%s: got the table %s, it was %s", at, got.Table.Digest(), was.Table.Digest())
		}
		for i := range 50 {
			key := was.Key(fmt.Appendf(nil, "k%d", i))
			is, ok := got.Choose(key, nil)
			want, wantOK := was.Choose(key, nil)
			if ok != wantOK || is.Rule != want.Rule || ok && is.Host.Name != want.Host.Name {
				r.t.Fatalf("%s: k%d goes to %+v, and went to %+v", at, i, is, want)
			}
		}
	}
	if rings := r.Log().Rings(); len(rings) > MaxTables || kept < len(rings) || kept == len(shots) {
		r.t.Errorf("%d rings are kept, %d of %d moments are known", len(rings), kept, len(shots))
	}
}

// TestAFlappingHostPushesNoRingOut: the changes between tables are bounded by themselves. What
// is dropped is known to be.
func TestAFlappingHostPushesNoRingOut(t *testing.T) {
	r := newRegion(t, policies["rendezvous"]).with("a", "b", "c")
	r.built()
	r.records()
	first := r.table.Digest()
	r.change("c", drained)
	r.built()
	r.records()
	ring := r.now
	was := map[time.Time]route.Verdict{}
	for range MaxChanges {
		r.change("b", down)
		r.records()
		was[r.now] = route.Down
		r.change("b", up)
		r.records()
		was[r.now] = route.Up
	}
	if rings := r.Log().Rings(); len(rings) != 2 || rings[1].Digest != first || r.Log().Len() > MaxTables+MaxChanges {
		t.Fatalf("got %d rings in %d entries", len(rings), r.Log().Len())
	}
	if v := r.view(ring); v.Ring.Cause != "c drained by eva (kernel)" || len(v.Notes) != 0 {
		t.Errorf("before the changes: got %+v", v)
	}
	known := 0
	for at, want := range was {
		if at.Second()%7 != 0 {
			delete(was, at)
			continue
		}
		v := r.view(at)
		unknown := len(v.Notes) > 0 && strings.Contains(v.Notes[0], "it isn't known which hosts served")
		if !unknown {
			known++
		}
		if got := v.Hosts[1].Check; got != want && !unknown {
			t.Fatalf("%s: b is %s, and was %s; notes %q", at, got, want, v.Notes)
		}
	}
	if known < len(was)/4 || known > 3*len(was)/4 {
		t.Errorf("%d of %d changes are known", known, len(was))
	}
}

func TestAClockThatIsSetBackChangesNoOrder(t *testing.T) {
	r := newRegion(t, policies["rendezvous"]).with("a", "b", "c")
	r.built()
	r.records() // at 1 s
	r.now = r.now.Add(time.Hour)
	r.change("a", drained)
	r.built()
	r.records() // at 1:00:02
	r.now = t0.Add(30 * time.Minute)
	r.change("b", drained)
	r.built()
	r.records() // at 0:30:01 of the second time
	rings := r.Log().Rings()
	if len(rings) != 3 || rings[0].Hosts != 1 || rings[2].Hosts != 3 || rings[0].Number != 3 {
		t.Fatalf("got %+v, want the last one first", rings)
	}
	for _, row := range []struct {
		after time.Duration
		hosts int
		notes int
	}{
		{10 * time.Minute, 3, 0},
		{40 * time.Minute, 1, 1}, // it came twice, with three hosts and with one
		{2 * time.Hour, 1, 1},    // it may have come before the clock was set back
	} {
		v := r.view(t0.Add(row.after))
		if v.Ring.Hosts != row.hosts || len(v.Notes) != row.notes || row.notes > 0 && !strings.Contains(v.Notes[0], "set back") {
			t.Errorf("after %v: got a ring of %d hosts, notes %q", row.after, v.Ring.Hosts, v.Notes)
		}
	}
	if _, err := r.Log().View(t0); !errors.Is(err, ErrTooOld) || !strings.Contains(err.Error(), "2026-03-01 02:30:01 UTC") {
		t.Errorf("before the first ring: got %v, want the time of the first", err)
	}
	if _, err := new(Log).View(t0); !errors.Is(err, ErrNoRings) {
		t.Errorf("without a ring: got %v", err)
	}
}

// TestTheFirstRingAnswersForItsSecond: `date` and operators write times in whole seconds.
func TestTheFirstRingAnswersForItsSecond(t *testing.T) {
	r := newRegion(t, policies["maglev"]).with("a")
	r.now = t0.Add(600 * time.Millisecond)
	r.built()
	r.records() // at 1.6 s
	if v, err := r.Log().View(t0.Add(time.Second)); err != nil || v.Ring.Hosts != 1 || !v.At.Equal(t0.Add(1600*time.Millisecond)) {
		t.Errorf("in the second of the first ring: got %+v, %v", v, err)
	}
	for _, before := range []time.Duration{0, 999 * time.Millisecond, 1100 * time.Millisecond} {
		if _, err := r.Log().View(t0.Add(before)); !errors.Is(err, ErrTooOld) {
			t.Errorf("%v: got %v", before, err)
		}
	}
}

func TestARestartSaysWhatItHasMissed(t *testing.T) {
	r := newRegion(t, policies["rendezvous"]).with("a", "b", "c")
	r.built()
	r.records()
	stopped := r.now
	r.restarts("lb-1 started")
	r.now = r.now.Add(time.Hour)
	r.change("a", drained)
	r.built()
	if !r.records() || r.records() {
		t.Error("want the start recorded, and nothing after it")
	}
	ring := r.Log().Rings()[0]
	if ring.Cause != "lb-1 started; a drained by eva (kernel)" || ring.Moved != nil {
		t.Errorf("got %+v", ring)
	}
	for _, row := range []struct {
		at   time.Time
		note string
	}{
		{stopped.Add(-time.Nanosecond), ""}, {stopped.Add(time.Minute), "From 2026-03-01 02:30:01 UTC to 2026-03-01 03:30:02 UTC it isn't known"}, {r.now, ""},
	} {
		v, err := r.Log().View(row.at)
		if row.at.Before(stopped) {
			if !errors.Is(err, ErrTooOld) {
				t.Errorf("got %v", err)
			}
			continue
		}
		if notes := strings.Join(v.Notes, " "); (row.note == "") != (notes == "") || !strings.Contains(notes, row.note) {
			t.Errorf("%s: notes %q, want %q", row.at, notes, row.note)
		}
	}
	before, after := r.Log().Unmeasured(0)
	if after == nil || after.Number != ring.Number || before.Ring.Hosts != 3 {
		t.Fatalf("got %+v, %+v", before, after)
	}
	r.SetMoved(after.Number, 0.25)
	if before, _ := r.Log().Unmeasured(0); before != nil || *r.Log().Rings()[0].Moved != 0.25 {
		t.Errorf("got %+v", r.Log().Rings()[0])
	}
}

func TestATableOfAnotherSeedIsNotMadeUp(t *testing.T) {
	r := newRegion(t, policies["consistent"]).with("a", "b", "c")
	r.built()
	r.records()
	if b, err := json.Marshal(r.Log()); err != nil || strings.Contains(string(b), seed) {
		t.Errorf("the seed is in %s, %v", b, err)
	}
	if _, err := r.view(r.now).Snapshot("another one of 16"); !errors.Is(err, ErrNotRebuilt) || !strings.Contains(err.Error(), "hash.seed") {
		t.Errorf("got %v", err)
	}
	other := policies["maglev"]
	tables, err := balancer.NewBuilder(other)
	if err != nil {
		t.Fatal(err)
	}
	before := r.now
	r.cfg, r.tables = other, tables
	r.built()
	r.records()
	if got := r.Log().Rings()[0].Cause; got != "another section hash in the configuration: policy maglev, before consistent" {
		t.Errorf("got %q", got)
	}
	if s, err := r.view(before).Snapshot(seed); err != nil || s.Table.Policy() != "consistent" {
		t.Errorf("the ring before: %v", err)
	}
}

// TestALogIsSmall measures a quarter of the tables that are kept, of 2,000 hosts: between two,
// one host changes, or all do.
func TestALogIsSmall(t *testing.T) {
	for _, row := range []struct {
		name    string
		changed int
		most    uint64 // bytes
	}{{"one host", 1, 1 << 20}, {"all hosts", 2000, 12 << 20}} {
		r := newRegion(t, balancer.Config{Policy: balancer.PolicyKetama, Ketama: balancer.KetamaConfig{Points: 1}})
		for i := range 2000 {
			r.with(fmt.Sprintf("ide-%04d.example", i))
		}
		for i := range MaxTables / 4 {
			for n := range row.changed {
				r.hosts[n].Weight = 1 + i%3
			}
			r.built()
			r.records()
		}
		log := r.Log()
		rings := len(log.Rings())
		r = nil
		with := heap()
		runtime.KeepAlive(log)
		size := with - heap()
		t.Logf("%s: %d KB", row.name, size>>10)
		if rings != MaxTables/4 || size > row.most {
			t.Errorf("%s: %d bytes, want at most %d, for %d rings", row.name, size, row.most, rings)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRecord measures what it costs that nothing has changed, and that one host has.
func BenchmarkRecord(b *testing.B) {
	r := newRegion(b, balancer.Config{Policy: balancer.PolicyKetama, Ketama: balancer.KetamaConfig{Points: 1}})
	for i := range 2000 {
		r.with(fmt.Sprintf("ide-%04d.example", i))
	}
	r.built()
	s := r.snapshot()
	o := Observation{At: t0, Snapshot: s, SlowStart: func(host string) SlowStart { return r.starts[host] }, Serves: func(string) bool { return true }, Hash: r.cfg}
	r.Record(o)
	b.Run("no news", func(b *testing.B) {
		for b.Loop() {
			r.Record(o)
		}
	})
	b.Run("one host", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			h := *s.Hosts[0]
			h.Moving = n%2 == 0
			s.Hosts[0] = &h
			r.Record(o)
		}
	})
}
