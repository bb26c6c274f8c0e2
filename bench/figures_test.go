package main

import (
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

func TestSampleIsTheDifferenceOfTwoReadings(t *testing.T) {
	start := time.Unix(1000, 0)
	before := reading{at: start, value: 500, cpu: time.Second}
	after := reading{at: start.Add(2 * time.Second), value: 2500, cpu: 2500 * time.Millisecond}
	got, err := newSample([]reading{before, after}, outcome{units: 100, failures: 3})
	if err != nil {
		t.Fatal(err)
	}
	if want := (sample{value: 20, rate: 50, busy: 0.75, failures: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestNoSampleFromNothing(t *testing.T) {
	two := []reading{{at: time.Unix(1, 0)}, {at: time.Unix(2, 0)}}
	for name, row := range map[string]struct {
		readings []reading
		units    uint64
	}{
		"no unit":     {two, 0},
		"no reading":  {nil, 10},
		"one reading": {two[:1], 10},
	} {
		if got, err := newSample(row.readings, outcome{units: row.units}); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestYardstickIsTheBetterOfTheOthers(t *testing.T) {
	of := func(proxy string, values ...float64) series {
		s := series{proxy: proxy}
		for _, v := range values {
			s.samples = append(s.samples, sample{value: v})
		}
		return s
	}
	for name, row := range map[string]struct {
		all  []series
		want float64
	}{
		"lb is no yardstick":     {[]series{of("lb", 1), of("haproxy", 30), of("nginx", 20)}, 20},
		"by median, not minimum": {[]series{of("haproxy", 1, 30, 31), of("nginx", 20)}, 20},
		"a missing one is none":  {[]series{of("haproxy"), of("nginx", 20)}, 20},
		"nobody":                 {[]series{of("lb", 1)}, 0},
	} {
		if got := yardstick(row.all); got != row.want {
			t.Errorf("%s: got %v, want %v", name, got, row.want)
		}
	}
}
