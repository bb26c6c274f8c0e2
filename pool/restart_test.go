package pool

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/route"
)

// TestAFrozenRingIsFrozenAfterARestart has a balancer whose hosts are listed end in the midst
// of a partition, and start again.
func TestAFrozenRingIsFrozenAfterARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg, o := statics("a", "b", "c", "d", "e", "f"), Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, cfg, o)
		l.see(route.Up, "a", "b", "c", "d", "e", "f")
		l.pass(time.Minute)
		l.see(route.Down, "c", "d", "e", "f")
		l.pass(10 * time.Second)
		until := l.Snapshot().FrozenUntil
		l.stop()
		if until.IsZero() {
			t.Fatal("the ring isn't frozen")
		}
		time.Sleep(20 * time.Second)

		l = live(t, cfg, o)
		defer l.stop()
		l.see(route.Up, "a")
		if s := l.Snapshot(); !s.Frozen || !s.FrozenUntil.Equal(until) {
			t.Errorf("one host is there: frozen %v until %s, want until %s", s.Frozen, s.FrozenUntil, until)
		}
		l.see(route.Up, "b")
		l.see(route.Down, "c", "d", "e", "f")
		if s := l.Snapshot(); !s.Frozen || len(s.Table.Hosts()) != 6 {
			t.Errorf("two hosts are there: frozen %v, %d hosts in the ring", s.Frozen, len(s.Table.Hosts()))
		}
	})
}
