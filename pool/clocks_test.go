package pool

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// tells has a peer tell decisions and warm-ups.
func (l *life) tells(decided []Decision, warming ...warmUp) {
	l.t.Helper()
	b, err := encodeMemory(decided, warming)
	if err != nil {
		l.t.Fatal(err)
	}
	l.peers.NotifyMsg(b)
	l.pass(2 * gather)
}

func TestDecisionOfAWrongClockBlocksNoLaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		o := quiet()
		o.Logger = zerolog.New(&log)
		o.StateDir = t.TempDir()
		l := live(t, statics("a", "b", "c"), o)
		l.see(Up, "a", "b", "c")
		wrong := Decision{Host: "a", State: Drain, Weight: new(7), At: maxAt, Origin: "lb-2", By: "eva"}
		l.tells([]Decision{wrong})
		l.wantRing("b c", "the operator's word counts, whatever the clock said")
		alarm := l.Snapshot().Alarm
		for _, text := range []string{log.String(), alarm} {
			if !strings.Contains(text, "lb-2") || !strings.Contains(text, "2200") {
				t.Errorf("want lb-2 and its time named in %q", text)
			}
		}
		if err := l.decide("b", Drain); err != nil {
			t.Errorf("about another host: %v", err)
		}
		if err := l.decide("a", Ready); err != nil {
			t.Errorf("about the same host: %v", err)
		}
		if err := l.weigh("a", 3); err != nil {
			t.Errorf("about its weight: %v", err)
		}
		l.wantRing("a c", "decided later")
		l.tells([]Decision{wrong})
		if h := l.Snapshot().Host("a"); h.State != Ready || h.Weight != 3 || time.Since(h.Since).Abs() > time.Minute {
			t.Errorf("told once more what was decided earlier: got %+v, want it ready, with the weight 3, decided just now", h)
		}
		if got := l.Snapshot().Alarm; got != "" {
			t.Errorf("the alarm remains: %s", got)
		}
		l.stop()
		again := live(t, statics("a", "b", "c"), Options{Logger: zerolog.Nop(), StateDir: o.StateDir})
		defer again.stop()
		again.tells([]Decision{wrong})
		if h := again.Snapshot().Host("a"); h.State != Ready || h.Weight != 3 {
			t.Errorf("after a restart: got %+v", h)
		}
	})
}

// TestDecisionOfTheLastEpochBlocksNoLaterOne: one that could isn't taken.
func TestDecisionOfTheLastEpochBlocksNoLaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(logBuffer)
		l := live(t, statics("a", "b", "c"), Options{Logger: log.logger()})
		defer l.stop()
		l.see(Up, "a", "b", "c")
		last := Decision{Host: "a", State: Drain, Epoch: math.MaxUint32, Origin: "lb-2"}
		for _, at := range []time.Time{maxAt, time.Now().Add(maxSkew + time.Second)} {
			last.At = at
			l.tells([]Decision{last})
			l.wantRing("a b c", "no decision could ever count after it")
		}
		if len(log.lines("isn't taken", "no later decision could count after it")) == 0 {
			t.Error("it was left out without a word")
		}
		last.At = time.Now().Add(maxSkew)
		l.tells([]Decision{last})
		l.wantRing("b c", "a later one can count after it")
		for _, state := range []State{Ready, Drain} {
			if err := l.decide("a", state); err != nil {
				t.Fatal(err)
			}
			if got := l.Snapshot().Host("a").State; got != state {
				t.Errorf("a is %s, want what was decided last: %s", got, state)
			}
		}
	})
}

// TestClockOfOurOwnMayHaveBeenWrong: what was decided while it was is dated so on
// disk.
func TestClockOfOurOwnMayHaveBeenWrong(t *testing.T) {
	now := time.Unix(1e9, 0).UTC()
	r := registers{}
	r.merge(Decision{Host: "a", State: Maint, At: maxAt, Origin: "lb-1"})
	d := r.date(Decision{Host: "a", State: Ready, Origin: "lb-1"}, now)
	if !d.At.Equal(now) || !r.merge(d) || r.state("a").State != Ready {
		t.Errorf("got %+v, want a decision of now that counts", d)
	}
}

// Known are the registers' times in relation to now, in milliseconds.
func TestNewDecisionCountsAfterWhatIsKnownOfItsTopic(t *testing.T) {
	now := time.Unix(1.7e9, 0).UTC()
	known := func(ms int) Decision {
		return Decision{Host: "a", State: Maint, At: now.Add(time.Duration(ms) * time.Millisecond), Origin: "lb-2"}
	}
	skew := int(maxSkew / time.Millisecond)
	for name, row := range map[string]struct {
		known Decision
		at    time.Time
		epoch uint32
	}{
		"of the past":                     {known(-5), now, 0},
		"of this very moment":             {known(0), now.Add(1), 0},
		"of a clock that is a bit ahead":  {known(5), known(5).At.Add(1), 0},
		"of the edge of what is believed": {known(skew), known(skew).At.Add(1), 0},
		"of a clock that is wrong":        {known(skew + 1), now, 1},
	} {
		r := merged([]Decision{row.known})
		d := r.date(Decision{Host: "a", State: Ready, Origin: "lb-1"}, now)
		if !d.At.Equal(row.at) || d.Epoch != row.epoch || !r.merge(d) {
			t.Errorf("%s: got %+v, want epoch %d, %s", name, d, row.epoch, row.at)
		}
		other := r.date(Decision{Host: "b", State: Ready, Origin: "lb-1"}, now)
		if !other.At.Equal(now) || other.Epoch != 0 {
			t.Errorf("%s: a decision about another host is dated %s, epoch %d", name, other.At, other.Epoch)
		}
	}
}

// TestBalancersConvergeWhateverTheirClocks has balancers, one of which lives
// centuries ahead, decide and hear of each other in random orders, some of it many
// times and some never, until all have heard all. The operator who decides last,
// knowing of what was decided before, has his way.
func TestBalancersConvergeWhateverTheirClocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 13))
	for round := range 300 {
		start := time.Unix(1.7e9, 0).UTC()
		clocks := []time.Duration{0, 2 * time.Second, -time.Hour, maxAt.Sub(start) - time.Hour, 30 * time.Minute}
		known := make([]registers, len(clocks))
		for i := range known {
			known[i] = registers{}
		}
		now := start
		decide := func(i int, d Decision) Decision {
			d.Origin = fmt.Sprintf("lb-%d", i)
			d = known[i].date(d, now.Add(clocks[i]))
			if err := d.check(); err != nil {
				t.Fatalf("round %d: lb-%d can't decide: %v", round, i, err)
			}
			known[i].merge(d)
			return d
		}
		var told []Decision
		for range 40 {
			now = now.Add(time.Duration(rng.IntN(5000)) * time.Millisecond)
			i := rng.IntN(len(known))
			if rng.IntN(3) > 0 {
				d := Decision{Host: fmt.Sprintf("ide-%d", rng.IntN(2)), State: []State{Ready, Drain, Maint}[rng.IntN(3)]}
				if rng.IntN(3) == 0 {
					d.Weight = new(rng.IntN(5))
				}
				told = append(told, decide(i, d))
			}
			for range rng.IntN(4) {
				if len(told) > 0 {
					known[i].merge(told[rng.IntN(len(told))])
				}
			}
		}
		last := rng.IntN(len(known))
		for _, d := range told {
			known[last].merge(d)
		}
		final := decide(last, Decision{Host: "ide-0", State: Drain, Weight: new(77)})
		told = append(told, final)
		for i := range known {
			rng.Shuffle(len(told), func(a, b int) { told[a], told[b] = told[b], told[a] })
			for _, d := range told {
				known[i].merge(d)
			}
			if diff := cmp.Diff(known[0], known[i]); diff != "" {
				t.Fatalf("round %d: lb-0 and lb-%d differ (-0 +%d):\n%s", round, i, i, diff)
			}
		}
		if w, _ := known[0].weight("ide-0"); known[0].state("ide-0").State != Drain || *w.Weight != 77 {
			t.Fatalf("round %d: the last decision, %+v, isn't in force: %+v", round, final, known[0].list())
		}
	}
}

func TestWarmUpsOfWrongClocksAndCountsBlockNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		cfg := statics("a", "b")
		cfg.SlowStart = 10 * time.Second
		l := live(t, cfg, Options{Logger: zerolog.New(&log)})
		defer l.stop()
		l.see(Up, "a", "b")
		l.pass(time.Minute)
		l.tells(nil, warmUp{Host: "b", Number: 1<<64 - 1, Since: time.Now(), Lasts: time.Hour})
		if !strings.Contains(log.String(), "isn't taken") {
			t.Errorf("a count that can't be was taken, or left out without a word: %s", log.String())
		}
		l.tells(nil, warmUp{Host: "b", Number: 5, Since: maxAt, Lasts: time.Hour})
		l.see(Down, "b")
		l.pass(time.Second)
		l.see(Up, "b")
		h := l.Snapshot().Host("b")
		if w := h.Warming; w == (Warming{}) || time.Until(w.Until) > cfg.SlowStart {
			t.Errorf("b has come back: got %+v, want a warm-up of %v that begins now", w, cfg.SlowStart)
		}
		l.pass(cfg.SlowStart)
		if w := l.Snapshot().Host("b").Warming; w != (Warming{}) {
			t.Errorf("after %v: still %+v", cfg.SlowStart, w)
		}
	})
}
