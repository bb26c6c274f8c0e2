package pool

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/pool/ringfile"
	"tokenring/route"
)

// wantRings checks the causes of the rings that were in force, the newest first.
func (l *life) wantRings(want ...string) {
	l.t.Helper()
	var got []string
	for _, r := range l.RingLog().Rings() {
		got = append(got, r.Cause)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		l.t.Errorf("got the rings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatTheRingWasSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	options := func() Options { return Options{Logger: zerolog.Nop(), StateDir: dir} }
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c"), options())
		l.see(route.Up, "a", "b", "c")
		if err := l.override("b", route.Drain); err != nil {
			t.Fatal(err)
		}
		drained := "b drained by ops (disk)"
		l.wantRings(drained, "lb-1 started")
		l.stop()
		stopped := time.Now()
		time.Sleep(time.Hour)
		l = live(t, statics("a", "b", "c", "d"), options())
		l.wantRings(drained, "lb-1 started") // before it is ready, too
		l.see(route.Up, "a", "b", "c", "d")
		l.wantRings("lb-1 started; d joined", drained, "lb-1 started")
		l.pass(2 * ringMeasured)
		rings := l.RingLog().Rings()
		if m := rings[0].Moved; m == nil || *m < 0.1 || *m > 0.6 {
			t.Errorf("moved %v, want about a third", m)
		}
		if m := rings[1].Moved; m == nil || *m < 0.1 || *m > 0.6 {
			t.Errorf("the drain moved %v, want about a third", m)
		}
		v, err := l.RingLog().View(stopped.Add(time.Minute))
		if err != nil || len(v.Notes) != 1 || v.Ring.Cause != drained {
			t.Errorf("while it didn't run: got %+v, %v", v, err)
		}
		l.stop()
		if onDisk, err := ringfile.Read(dir); err != nil || onDisk.Rings()[0].Moved == nil {
			t.Errorf("on disk: %v", err)
		}
	})
}

// ringMeasured is more than it takes to measure what a ring has moved.
const ringMeasured = time.Second

// TestWhatTheRingWasGoesFromProcessToProcess hands it over as at a reload: nothing is missed,
// and nothing is recorded twice. The later process records nothing until it decides.
func TestWhatTheRingWasGoesFromProcessToProcess(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		first := live(t, statics("a", "b", "c"), Options{Logger: zerolog.Nop(), StateDir: dir})
		first.see(route.Up, "a", "b", "c")
		state, err := first.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begin := make(chan struct{})
		handed := overJSON(t, state)
		next := live(t, statics("a", "b", "c", "d"), Options{Logger: zerolog.Nop(), StateDir: dir, Takeover: Takeover{Handed: &handed, Begin: begin}})
		next.see(route.Up, "a", "b", "c", "d")
		if got := next.RingLog().Len(); got != 0 {
			t.Errorf("%d entries of a process that doesn't decide", got)
		}
		if err := first.override("a", route.Maint); err != nil { // until it is retired, the first one decides
			t.Fatal(err)
		}
		first.stop()
		if state, err = first.State(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := next.Update(t.Context(), overJSON(t, state)); err != nil {
			t.Fatal(err)
		}
		close(begin)
		next.pass(0)
		next.see(route.Up, "b", "c", "d")
		next.wantRings("d joined", "a put in maintenance by ops (disk)", "lb-1 started")
		if v, err := next.RingLog().View(time.Now()); err != nil || len(v.Notes) != 0 {
			t.Errorf("got %+v, %v; want nothing missed", v, err)
		}
		next.stop()
	})
}
