package answers

import (
	"testing"
	"time"
)

func TestAnswersCountByClassAndTime(t *testing.T) {
	var c Counts
	c.Add(200, time.Millisecond)
	c.Add(204, 5*time.Millisecond) // bounds are inclusive
	c.Add(302, 6*time.Millisecond)
	c.Add(404, time.Second)
	c.Add(502, time.Minute) // beyond all bounds
	c.Add(600, 0)
	c.Add(0, 0)
	c.AddUntimed(101)
	got := c.Totals()
	if want := [...]uint64{1, 1, 2, 1, 1, 2}; got.ByClass != want {
		t.Errorf("by class: got %v, want %v", got.ByClass, want)
	}
	if want := [...]uint64{4, 5, 5, 5, 5, 5, 5, 6, 6, 6}; got.UpTo != want {
		t.Errorf("by time: got %v, want %v", got.UpTo, want)
	}
	if want := time.Minute + time.Second + 12*time.Millisecond; got.Timed != 7 || got.Took != want {
		t.Errorf("%d took %v, want 7 and %v", got.Timed, got.Took, want)
	}
	if n := got.Buckets()[2.5]; n != 6 || len(got.Buckets()) != len(Bounds) {
		t.Errorf("%v", got.Buckets())
	}
}

func BenchmarkAdd(b *testing.B) {
	var c Counts
	for b.Loop() {
		c.Add(200, 3*time.Millisecond)
	}
}
