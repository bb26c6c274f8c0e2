package route

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLastByteIsWhenAByteHasComeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b LastByte
		if !b.At().IsZero() {
			t.Error("there is a time before any byte")
		}
		for _, pause := range []time.Duration{0, time.Hour, time.Second, 50 * time.Millisecond, 60 * time.Millisecond} {
			time.Sleep(pause)
			now := time.Now()
			b.Note(now)
			b.Note(now.Add(-time.Minute)) // an event that comes late
			if early := now.Sub(b.At()); early < 0 || early >= lastByteStep {
				t.Errorf("after %v: got %v too early", pause, early)
			}
		}
	})
}

func TestLastByteAllocatesNothing(t *testing.T) {
	var b LastByte
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { now = now.Add(time.Second); b.Note(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLastByte(bench *testing.B) {
	var b LastByte
	now := time.Now()
	bench.RunParallel(func(pb *testing.PB) {
		at := now
		for pb.Next() {
			at = at.Add(time.Microsecond)
			b.Note(at)
		}
	})
}
