package main

import (
	"math"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, row := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{4, 1}, 2.5},
		{[]float64{9, 1, 5}, 5}, // the order doesn't matter
		{[]float64{1, 2, 3, 1000}, 2.5},
	} {
		if got := median(row.values); got != row.want {
			t.Errorf("median(%v) = %v, want %v", row.values, got, row.want)
		}
	}
}

func TestMedianLeavesItsArgumentAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	median(values)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("the values are now %v", values)
	}
}

func TestSpellIsTheDifferenceOfTwoReadings(t *testing.T) {
	start := time.Unix(1000, 0)
	before := reading{at: start, cpu: time.Second}
	after := reading{at: start.Add(2 * time.Second), cpu: 2500 * time.Millisecond}
	got, err := newSpell([]reading{before, after})
	if err != nil {
		t.Fatal(err)
	}
	if got.busy() != 0.75 {
		t.Errorf("busy %v, want 0.75", got.busy())
	}
	if each, err := got.per(100); err != nil || each != 15000 {
		t.Errorf("got %v µs for each of 100 units, %v, want 15000", each, err)
	}
	if each, err := got.per(0); err == nil {
		t.Errorf("got %v µs for each of no units, want an error", each)
	}
}

func TestNoSpellWithoutTwoReadings(t *testing.T) {
	for n := range 2 {
		if got, err := newSpell(make([]reading, n)); err == nil {
			t.Errorf("%d readings: got %+v, want an error", n, got)
		}
	}
}

func TestSoundFiguresAreNumbersAndMostlyPositive(t *testing.T) {
	nan := math.NaN()
	for _, row := range []struct {
		f     figure
		value float64
		want  bool
	}{
		{figure{}, 1, true},
		{figure{}, 0, false},
		{figure{}, -1, false},
		{figure{signed: true}, -1, true}, // a difference
		{figure{signed: true}, nan, false},
		{figure{}, math.Inf(1), false},
	} {
		if got := row.f.sound(row.value); got != row.want {
			t.Errorf("%+v: %v is sound: %t, want %t", row.f, row.value, got, row.want)
		}
	}
}

func TestYardstickIsTheBetterOfTheOthers(t *testing.T) {
	of := func(proxy string, values ...float64) series {
		s := series{proxy: proxy}
		for _, v := range values {
			s.samples = append(s.samples, sample{values: []float64{-1, v}})
		}
		return s
	}
	for name, row := range map[string]struct {
		all     []series
		against string
		want    float64
	}{
		"lb is no yardstick":     {[]series{of("lb", 1), of("haproxy", 30), of("nginx", 20)}, "", 20},
		"by median, not minimum": {[]series{of("haproxy", 1, 30, 31), of("nginx", 20)}, "", 20},
		"a missing one is none":  {[]series{of("haproxy"), of("nginx", 20)}, "", 20},
		"a certain one":          {[]series{of("haproxy", 30), of("nginx", 20)}, "haproxy", 30},
		"no other":               {[]series{of("lb", 1)}, "", 0},
	} {
		if got := yardstick(row.all, 1, row.against); got != row.want {
			t.Errorf("%s: got %v, want %v", name, got, row.want)
		}
	}
}
