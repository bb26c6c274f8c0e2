package pool

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/peers"
	"tokenring/route"
	"tokenring/testlog"
)

func TestAnOverrideOfAWrongClockBlocksNoLaterOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testlog.Buffer
		o := quiet()
		o.Logger = zerolog.New(&log)
		o.StateDir = t.TempDir()
		l := live(t, statics("a", "b", "c"), o)
		l.see(route.Up, "a", "b", "c")
		wrong := peers.Override{Override: route.Override{Host: "a", State: route.Drain, Weight: new(7), By: "eva"}, At: maxAt, Origin: "lb-2"}
		l.tells([]peers.Override{wrong})
		l.wantRing("b c", "the operator's word counts, whatever the clock said")
		alarm := l.Snapshot().Alarm
		for _, text := range []string{log.String(), alarm} {
			if !strings.Contains(text, "lb-2") || !strings.Contains(text, "2200") {
				t.Errorf("want lb-2 and its time named in %q", text)
			}
		}
		if err := l.override("b", route.Drain); err != nil {
			t.Errorf("about another host: %v", err)
		}
		if err := l.override("a", route.Ready); err != nil {
			t.Errorf("about the same host: %v", err)
		}
		if err := l.weigh("a", 3); err != nil {
			t.Errorf("about its weight: %v", err)
		}
		l.wantRing("a c", "an override that was set later")
		l.tells([]peers.Override{wrong})
		if h := l.Snapshot().Host("a"); h.State != route.Ready || h.Weight != 3 || time.Since(h.StateOverride.Since).Abs() > time.Minute {
			t.Errorf("an older override has come again: got %+v, want it ready, with the weight 3 of the newer override", h)
		}
		if got := l.Snapshot().Alarm; got != "" {
			t.Errorf("the alarm remains: %s", got)
		}
		l.stop()
		again := live(t, statics("a", "b", "c"), Options{Logger: zerolog.Nop(), StateDir: o.StateDir})
		defer again.stop()
		again.tells([]peers.Override{wrong})
		if h := again.Snapshot().Host("a"); h.State != route.Ready || h.Weight != 3 {
			t.Errorf("after a restart: got %+v", h)
		}
	})
}

// TestAnOverrideOfTheLastEpochBlocksNoLaterOverride: an override that would
// block later overrides is refused.
func TestAnOverrideOfTheLastEpochBlocksNoLaterOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(testlog.Buffer)
		l := live(t, statics("a", "b", "c"), Options{Logger: log.Logger()})
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		last := peers.Override{Override: route.Override{Host: "a", State: route.Drain}, Epoch: math.MaxUint32, Origin: "lb-2"}
		for _, at := range []time.Time{maxAt, time.Now().Add(time.Minute + time.Second)} {
			last.At = at
			l.tells([]peers.Override{last})
			l.wantRing("a b c", "no override could ever count after it")
		}
		if len(log.Lines("isn't taken", "no later override could count after it")) == 0 {
			t.Error("it was left out without a word")
		}
		last.At = time.Now().Add(time.Minute)
		l.tells([]peers.Override{last})
		l.wantRing("b c", "a later one can count after it")
		for _, state := range []route.State{route.Ready, route.Drain} {
			if err := l.override("a", state); err != nil {
				t.Fatal(err)
			}
			if got := l.Snapshot().Host("a").State; got != state {
				t.Errorf("a is %s, want the state that was set last: %s", got, state)
			}
		}
	})
}

func TestSlowStartsOfWrongClocksAndCountsBlockNoLaterSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testlog.Buffer
		cfg := statics("a", "b")
		cfg.SlowStart = 10 * time.Second
		l := live(t, cfg, Options{Logger: zerolog.New(&log)})
		defer l.stop()
		l.see(route.Up, "a", "b")
		l.pass(time.Minute)
		l.tells(nil, peers.SlowStart{Host: "b", Number: 1<<64 - 1, Since: time.Now(), Lasts: time.Hour})
		if !strings.Contains(log.String(), "isn't taken") {
			t.Errorf("a count that can't be was taken, or left out without a word: %s", log.String())
		}
		l.tells(nil, peers.SlowStart{Host: "b", Number: 5, Since: maxAt, Lasts: time.Hour})
		l.see(route.Down, "b")
		l.pass(time.Second)
		l.see(route.Up, "b")
		h := l.Snapshot().Host("b")
		if w := h.SlowStart; w == (route.Progress{}) || time.Until(w.Until) > cfg.SlowStart {
			t.Errorf("b has come back: got %+v, want a slow start of %v that begins now", w, cfg.SlowStart)
		}
		l.pass(cfg.SlowStart)
		if w := l.Snapshot().Host("b").SlowStart; w != (route.Progress{}) {
			t.Errorf("after %v: still %+v", cfg.SlowStart, w)
		}
	})
}

// TestOverridesAreDatedByTheCommonTime: the clock of this balancer is an hour ahead. An operator
// sets a state, and a moment later one of another balancer sets another one without knowing that.
func TestOverridesAreDatedByTheCommonTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := quiet()
		o.Clock = func() peers.Clock { return peers.Clock{Behind: -time.Hour} }
		l := live(t, statics("a", "b"), o)
		defer l.stop()
		l.see(route.Up, "a", "b")
		if err := l.override("a", route.Maint); err != nil {
			t.Fatal(err)
		}
		l.wantRing("b", "a is in maintenance")
		if since := l.Snapshot().Host("a").StateOverride.Since; (time.Until(since) + time.Hour).Abs() > time.Minute {
			t.Errorf("dated %v, want an hour less than %v", since, time.Now())
		}
		common := time.Now().Add(-time.Hour)
		l.tells([]peers.Override{{Override: route.Override{Host: "a", State: route.Ready}, At: common.Add(time.Second), Origin: "lb-2", After: &peers.Basis{}}})
		l.wantRing("a b", "the later operator has made it ready")
	})
}
