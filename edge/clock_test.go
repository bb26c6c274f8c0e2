package edge

import (
	"strings"
	"testing"
	"time"

	"tokenring/stream"
)

// TestAWrongClockIsAnAlarm: that of lb-2 is an hour ahead, and the balancer knows it.
func TestAWrongClockIsAnAlarm(t *testing.T) {
	t.Parallel()
	first, second := startAsked(t, func(o *stream.Options) {
		if o.Name == "lb-2" {
			o.Clock = func() time.Time { return time.Now().Add(time.Hour) }
		}
	})
	right, ahead := &Edge{components: components{streams: first.hub}}, &Edge{components: components{streams: second.hub}}
	for _, e := range []*Edge{right, ahead} {
		for end := time.Now().Add(time.Minute); e.clock()().Alone; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the balancers don't know each other's clocks")
			}
		}
	}
	if alarm := right.clockProblem(); alarm != "" {
		t.Errorf("of the right clock: %s", alarm)
	}
	if alarm := ahead.clockProblem(); !strings.Contains(alarm, "1h0m0s ahead of the common time") {
		t.Errorf("of the wrong clock: %q", alarm)
	}
	if behind := ahead.clock()().Behind; (behind + time.Hour).Abs() > time.Minute {
		t.Errorf("the common time is %v from the wrong clock, want -1h", behind)
	}
	alone := &Edge{}
	if alone.clock() != nil || alone.clockProblem() != "" {
		t.Error("a balancer without peers compares its clock with others")
	}
}
