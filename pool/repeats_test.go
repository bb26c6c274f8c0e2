package pool

import (
	"fmt"
	"testing"
	"time"
)

func TestAFailureThatGoesOnIsLoggedRarely(t *testing.T) {
	var r repeats
	var told []time.Duration
	for d := time.Duration(0); d < 6*time.Hour; d += 10 * time.Second {
		if f, tell := r.again("x", t0.Add(d)); tell {
			told = append(told, d)
			if want := int(d/(10*time.Second)) + 1; f.times != want || !f.since.Equal(t0) {
				t.Errorf("after %v: %d times since %v, want %d since the first", d, f.times, f.since, want)
			}
		}
	}
	const m = time.Minute
	want := []time.Duration{0, 1 * m, 3 * m, 7 * m, 15 * m, 31 * m, 63 * m, 123 * m, 183 * m, 243 * m, 303 * m}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("logged after %v, want %v", told, want)
	}
	if n := r.over("x"); n != 6*360 {
		t.Errorf("over after %d times", n)
	}
	if f, tell := r.again("x", t0.Add(6*time.Hour)); !tell || f.times != 1 {
		t.Errorf("once more after it was over: told %t, %d times", tell, f.times)
	}
}

func TestAFailureThatWasAwayForLongIsNew(t *testing.T) {
	var r repeats
	r.again("x", t0)
	r.again("x", t0.Add(time.Second))
	if f, tell := r.again("x", t0.Add(time.Second+2*lastRepeat+1)); !tell || f.times != 1 {
		t.Errorf("told %t, %d times, want it to be the first", tell, f.times)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	var r repeats
	told := 0
	for i := range 10_000 {
		if _, tell := r.again(fmt.Sprint(i), t0); tell {
			told++
		}
	}
	if told != maxRepeats+1 || len(r.all) != maxRepeats+1 {
		t.Errorf("%d lines, %d remembered, want %d", told, len(r.all), maxRepeats+1)
	}
	later := t0.Add(2*lastRepeat + 1)
	if f, tell := r.again("new", later); !tell || f.times != 1 || len(r.all) != 1 {
		t.Errorf("long after: told %t, %d times, %d remembered", tell, f.times, len(r.all))
	}
}
