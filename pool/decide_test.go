package pool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"
)

func TestDecisionIsInForceWhenDecideReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c"), quiet())
		defer l.stop()
		l.see(Up, "a", "b", "c")
		if err := l.decide("a", Drain); err != nil {
			t.Fatal(err)
		}
		l.wantRing("b c", "drained")
		h := l.Snapshot().Host("a")
		if h.State != Drain || h.Reason != "disk" || h.By != "ops" || h.Since.IsZero() || h.WhyNot != WhyDrain {
			t.Errorf("got %+v", h)
		}
		if err := l.decide("a", Ready); err != nil {
			t.Fatal(err)
		}
		l.wantRing("a b c", "ready again")
		if err := l.decide("a", Ready); err != nil {
			t.Errorf("the same again: %v", err)
		}
	})
}

func TestDecideRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), quiet())
		if err := l.decide("nobody", Drain); !errors.Is(err, ErrUnknownHost) {
			t.Errorf("unknown host: got %v", err)
		}
		if err := l.decide("a", "gone"); !errors.Is(err, ErrDecision) {
			t.Errorf("unknown state: got %v", err)
		}
		l.stop()
		if err := l.decide("a", Drain); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: got %v", err)
		}
	})
}

func TestDecisionsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, statics("a", "b"), o)
		l.see(Up, "a", "b")
		if err := l.decide("a", Maint); err != nil {
			t.Fatal(err)
		}
		l.stop()
		l = live(t, statics("a", "b"), o)
		defer l.stop()
		if got := l.shots[0].Host("a"); got.State != Maint || got.Reason != "disk" {
			t.Errorf("in the first snapshot: %+v", got)
		}
		l.see(Up, "a", "b")
		l.wantRing("b", "restarted")
	})
}

func TestDecisionThatCannotBeSavedIsInForceAndReported(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		defer l.stop()
		l.see(Up, "a", "b")
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := l.decide("a", Maint); err == nil || !strings.Contains(err.Error(), "not on disk") {
			t.Errorf("got %v", err)
		}
		l.pass(2 * gather)
		l.wantRing("b", "not saved")
	})
}
