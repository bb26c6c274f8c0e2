package limit

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestStreamsAreBoundedInSumAndBySource(t *testing.T) {
	c := NewConnections(40)
	l := NewStreams(12, c, func() {})
	if got := l.PerConnection(); got != 8 {
		t.Errorf("a client may open %d streams, want 8", got)
	}
	a, b, trusted := new(Source), new(Source), (*Source)(nil)
	for _, tt := range []struct {
		what string
		from *Source
		want int // streams
	}{
		{"a quarter", a, 3},
		{"the same source again", a, 0},
		{"another source", b, 3},
		{"one without limits of its own", trusted, 6},
		{"nothing is left", trusted, 0},
	} {
		got := 0
		for l.add(tt.from) {
			got++
		}
		if got != tt.want {
			t.Errorf("%s: got %d streams, want %d", tt.what, got, tt.want)
		}
	}
	if got := c.free(); got != 40-12 {
		t.Errorf("places for %d, want for %d", got, 40-12)
	}
	l.remove(a)
	for range 24 { // clients come
		c.Add()
	}
	if l.add(a) {
		t.Error("a stream got a place that is kept for clients")
	}
	if a.streams.Load() != 2 || l.open.Load() != 11 || c.open.Load() != 35 {
		t.Errorf("a refusal is counted: %d, %d, %d", a.streams.Load(), l.open.Load(), c.open.Load())
	}
}

// TestAStreamWithoutAPlaceWaitsForThatOfItsConnection: for so long, and only while few
// streams wait.
func TestAStreamWithoutAPlaceWaitsForThatOfItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := 0
		c := NewConnections(100)
		l := NewStreams(1, c, func() { waits++ })
		from := new(Source)
		streams := l.Of(from)
		for _, want := range []Place{Own, Further, Refused} {
			begin := time.Now()
			got := streams.Acquire(t.Context(), time.Second)
			if got != want || got.Granted() != (want != Refused) {
				t.Errorf("got place %d, want %d", got, want)
			}
			if took := time.Since(begin); (took == time.Second) != (want == Refused) {
				t.Errorf("place %d took %v", want, took)
			}
		}
		waiter := make(chan Place)
		go func() { waiter <- streams.Acquire(t.Context(), time.Minute) }()
		synctest.Wait()
		if got := streams.Acquire(t.Context(), time.Minute); got != Refused || l.waiting.Load() != 1 {
			t.Errorf("too many wait: got place %d, %d wait", got, l.waiting.Load())
		}
		streams.Release(Own)
		if got := <-waiter; got != Own {
			t.Errorf("when its connection's place came free: got place %d", got)
		}
		left, leave := context.WithCancel(t.Context())
		leave()
		if got := streams.Acquire(left, time.Minute); got != NoPlace || got.Granted() {
			t.Errorf("a stream that has left: got place %d", got)
		}
		if waits != 3 {
			t.Errorf("%d waits, want 3", waits)
		}
		streams.Release(Further)
		streams.Release(Own)
		streams.Release(Refused)
		if l.open.Load() != 0 || l.waiting.Load() != 0 || c.free() != 100 || from.streams.Load() != 0 {
			t.Errorf("%d streams, %d wait, %d places are left, and the source has %d", l.open.Load(), l.waiting.Load(), c.free(), from.streams.Load())
		}
	})
}
