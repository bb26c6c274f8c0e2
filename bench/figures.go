package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A figure is one column of a measurement: less is better, always.
type figure struct {
	name, unit string
	digits     int    // behind the point
	goal       goal   // the zero goal is none
	against    string // the proxy that the ratio is to; "" for the better of the others
	signed     bool   // it is a difference, which noise may make negative
}

// A goal bounds the ratio of lb's figure to the others'.
type goal struct{ must, aim float64 }

func (f figure) title() string { return f.name + ", " + f.unit }

// sound tells whether a value can be one of this figure's.
func (f figure) sound(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (f.signed || v > 0)
}

// A sample is what one process of a proxy has shown.
type sample struct {
	values   []float64 // in the order of the measurement's figures
	busy     float64   // share of its core that the proxy used, 0..1
	failures uint64
}

// A reading is one look at a process.
type reading struct {
	at  time.Time
	cpu time.Duration
}

func look(pid int) (reading, error) {
	used, err := cpuTime(pid)
	return reading{at: time.Now(), cpu: used}, err
}

// A spell is what a process used between two readings.
type spell struct{ cpu, time time.Duration }

func newSpell(readings []reading) (spell, error) {
	if len(readings) != 2 {
		return spell{}, fmt.Errorf("%d readings, want two", len(readings))
	}
	from, to := readings[0], readings[1]
	return spell{cpu: to.cpu - from.cpu, time: to.at.Sub(from.at)}, nil
}

func (s spell) busy() float64 { return s.cpu.Seconds() / s.time.Seconds() }

// per returns the microseconds of CPU time for each of n units.
func (s spell) per(n uint64) (float64, error) {
	if n == 0 {
		return 0, fmt.Errorf("nothing was done in %v", s.time)
	}
	return float64(s.cpu) / float64(time.Microsecond) / float64(n), nil
}

// A series is all samples of one proxy for one measurement.
type series struct {
	proxy   string
	samples []sample
	missing int // samples that couldn't be taken
}

// values returns those of the measurement's figure i.
func (s series) values(i int) []float64 {
	return each(s.samples, func(s sample) float64 { return s.values[i] })
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

// yardstick returns the median of figure i that the subject's is compared with:
// that of the proxy against, or else the lowest of the others; 0 if there is
// none.
func yardstick(all []series, i int, against string) float64 {
	best := 0.0
	for _, s := range all {
		if s.proxy == subject || against != "" && s.proxy != against {
			continue
		}
		if m := median(s.values(i)); m > 0 && (best == 0 || m < best) {
			best = m
		}
	}
	return best
}
