package main

import (
	"fmt"
	"slices"
)

// A sample is one figure: what one unit cost, and what went with it.
type sample struct {
	value    float64 // of the meter, per unit of load
	rate     float64 // units per second
	busy     float64 // share of its core that the proxy used, 0..1
	failures uint64
}

func newSample(readings []reading, out outcome) (sample, error) {
	if len(readings) != 2 || out.units == 0 {
		return sample{}, fmt.Errorf("%d readings and %d units: nothing to divide", len(readings), out.units)
	}
	from, to := readings[0], readings[1]
	seconds, units := to.at.Sub(from.at).Seconds(), float64(out.units)
	return sample{
		value:    (to.value - from.value) / units,
		rate:     units / seconds,
		busy:     (to.cpu - from.cpu).Seconds() / seconds,
		failures: out.failures,
	}, nil
}

// A series is all samples of one proxy for one measurement.
type series struct {
	proxy   string
	samples []sample
	missing int // samples that couldn't be taken
}

func (s series) values() []float64 {
	return each(s.samples, func(s sample) float64 { return s.value })
}

func (s series) rates() []float64 {
	return each(s.samples, func(s sample) float64 { return s.rate })
}

func (s series) busy() []float64 {
	return each(s.samples, func(s sample) float64 { return s.busy })
}

func (s series) failures() uint64 {
	var sum uint64
	for _, got := range s.samples {
		sum += got.failures
	}
	return sum
}

func each(samples []sample, f func(sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = f(s)
	}
	return values
}

// median returns the value in the middle, or the mean of the two there; 0 if
// there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// yardstick returns the lowest median of the proxies that the subject is
// compared with, 0 if there is none.
func yardstick(all []series) float64 {
	best := 0.0
	for _, s := range all {
		if m := median(s.values()); s.proxy != subject && m > 0 && (best == 0 || m < best) {
			best = m
		}
	}
	return best
}
