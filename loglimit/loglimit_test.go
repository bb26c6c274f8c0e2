package loglimit

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestAFailureThatGoesOnIsLoggedRarely(t *testing.T) {
	const m = time.Minute
	for _, tt := range []struct {
		limiter *Limiter
		want    []time.Duration
	}{
		{&Limiter{}, []time.Duration{0, 1 * m, 3 * m, 7 * m, 15 * m, 31 * m, 63 * m, 123 * m, 183 * m, 243 * m, 303 * m}},
		{&Limiter{MaxPause: 4 * m}, []time.Duration{0, 1 * m, 3 * m, 7 * m, 11 * m, 15 * m, 19 * m}},
	} {
		l := tt.limiter
		var logged []time.Duration
		const pause = 10 * time.Second
		for d := time.Duration(0); d < 6*time.Hour; d += pause {
			f, log := l.Add("x", t0.Add(d))
			if !log {
				continue
			}
			suppressed := 0
			if len(logged) > 0 {
				suppressed = int((d-logged[len(logged)-1])/pause) - 1
			}
			logged = append(logged, d)
			if want := (Failure{int(d/pause) + 1, suppressed, t0}); f != want {
				t.Errorf("after %v: got %+v, want %+v", d, f, want)
			}
		}
		if got := logged[:min(len(logged), len(tt.want))]; fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("logged after %v, want %v", logged, tt.want)
		}
		if tt.limiter.MaxPause == 0 && len(logged) != len(tt.want) {
			t.Errorf("logged after %v, want %v", logged, tt.want)
		}
		if n := l.End("x"); n != 6*360 {
			t.Errorf("it ended after %d times", n)
		}
		if f, log := l.Add("x", t0.Add(6*time.Hour)); !log || f.Times != 1 {
			t.Errorf("once more after the end: logged %t, %d times", log, f.Times)
		}
	}
}

func TestAFailureAfterALongTimeWithoutItIsNew(t *testing.T) {
	for _, tt := range []struct {
		limiter *Limiter
		forget  time.Duration
	}{
		{&Limiter{}, 2 * time.Hour},
		{&Limiter{MaxPause: time.Minute}, 2 * time.Minute},
		{&Limiter{MaxPause: time.Minute, Forget: time.Hour}, time.Hour},
	} {
		l := tt.limiter
		l.Add("x", t0)
		l.Add("x", t0.Add(time.Second))
		if f, _ := l.Add("x", t0.Add(time.Second+tt.forget)); f.Times != 3 {
			t.Errorf("within %v: %d times, want it to be known", tt.forget, f.Times)
		}
		if f, log := l.Add("x", t0.Add(time.Second+2*tt.forget+1)); !log || f.Times != 1 {
			t.Errorf("after %v: logged %t, %d times, want it to be the first", tt.forget, log, f.Times)
		}
	}
}

func TestFailingAndSucceedingInTurnIsNotLoggedMoreOften(t *testing.T) {
	var l Limiter
	logged := 0
	for d := time.Duration(0); d < firstPause; d += time.Second {
		if _, log := l.Add("x", t0.Add(d)); log {
			logged++
		}
		l.Lapse("x", t0.Add(d))
	}
	if logged != 1 {
		t.Errorf("%d lines in a minute, want 1", logged)
	}
	l.Lapse("x", t0.Add(2*firstPause))
	if n := l.End("x"); n != 0 {
		t.Errorf("it is still known after a minute of rest: %d times", n)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	for _, tt := range []struct {
		limiter *Limiter
		want    int
	}{
		{&Limiter{}, 64},
		{&Limiter{MaxKeys: 3}, 3},
	} {
		l := tt.limiter
		logged := 0
		for i := range 10_000 {
			if _, log := l.Add(fmt.Sprint(i), t0); log {
				logged++
			}
		}
		if logged != tt.want+1 || len(l.failures) != tt.want+1 {
			t.Errorf("%d lines, %d remembered, want %d", logged, len(l.failures), tt.want+1)
		}
		later := t0.Add(2*defaultMaxPause + 1)
		if f, log := l.Add("new", later); !log || f.Times != 1 || len(l.failures) != 1 {
			t.Errorf("long after: logged %t, %d times, %d remembered", log, f.Times, len(l.failures))
		}
	}
}

func TestALineHasTheNumberOfFailures(t *testing.T) {
	for _, tt := range []struct {
		failure Failure
		want    string
	}{
		{Failure{Times: 1, Since: t0}, "{}\n"},
		{Failure{Times: 3, Since: t0}, `{"times":3,"since":"2026-01-02T03:04:05Z"}` + "\n"},
	} {
		var out bytes.Buffer
		log := zerolog.New(&out)
		tt.failure.On(log.Log()).Send()
		if out.String() != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.failure, &out, tt.want)
		}
	}
}
