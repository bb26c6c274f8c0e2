package config

import (
	"fmt"
	"time"
)

// checkGenerations reports bounds of generations that would cut terminals needlessly, or never
// end a generation.
func (c *Config) checkGenerations(d *document) {
	g := c.Generations
	for _, n := range []struct {
		path            string
		value, from, to int
		unit            string
	}{
		{"generations.max", g.Max, 1, 32, ""},
		{"generations.rate", g.Rate, 1, 100_000, " terminals in a second"},
	} {
		if n.value < n.from || n.value > n.to {
			d.fail(n.path, fmt.Sprintf("%d is out of bounds", n.value), fmt.Sprintf("use a number from %d to %d%s", n.from, n.to, n.unit))
		}
	}
	for _, t := range []struct {
		path            string
		value, from, to time.Duration
	}{
		{"generations.age", g.Age, time.Minute, 365 * 24 * time.Hour},
		{"generations.ready", g.Ready, time.Second, 10 * time.Minute},
		{"generations.probation", g.Probation, time.Second, 10 * time.Minute},
	} {
		if t.value < t.from || t.value > t.to {
			d.fail(t.path, fmt.Sprintf("%s is out of bounds", t.value), fmt.Sprintf("use a time from %s to %s", t.from, t.to))
		}
	}
}
