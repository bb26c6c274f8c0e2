package pool

import (
	"strings"
	"testing"
	"testing/synctest"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/route"
)

// wrong returns a builder whose forecasts differ from its library's tables.
func wrong(t *testing.T) *builder.Builder {
	t.Helper()
	tables, err := balancer.NewForecaster(small)
	if err != nil {
		t.Fatal(err)
	}
	other := small
	other.Consistent.Replicas++
	library, err := balancer.NewBuilder(other)
	if err != nil {
		t.Fatal(err)
	}
	return builder.NewWith(tables, library)
}

func TestAWrongForecastIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := wrong(t)
		l := liveFrom(t, statics("a", "b", "c"), quiet(), func(p *Pool) { p.builder = b })
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		l.wantRing("a b c", "all are up")
		first := l.Snapshot().Table.Digest()
		if s := l.Snapshot(); !strings.Contains(s.Alarm, "forecast") || s.Rebuilding {
			t.Errorf("alarm %q, rebuilding %t", s.Alarm, s.Rebuilding)
		}
		if err := l.override("c", route.Drain); err != nil {
			t.Fatal(err)
		}
		l.wantRing("a b", "c is drained")
		if s := l.Snapshot(); !strings.Contains(s.Alarm, "forecast") || s.Table.Digest() == first {
			t.Errorf("alarm %q: it must stay until an operator has looked", s.Alarm)
		}
	})
}
