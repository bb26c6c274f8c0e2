// Package answers counts answers to requests: by the class of their status, and by how long they
// took.
package answers

import (
	"sync/atomic"
	"time"
)

// Classes are the classes of statuses; 0xx is for no answer.
var Classes = [...]string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"}

// Bounds are the upper bounds of how long answers took, without the last one, which is infinite.
var Bounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

// untimed is the column of answers that don't count in how long answers took.
const untimed = len(Bounds) + 1

// Counts count. The zero value is ready for use. They are safe for concurrent use, and counting
// is at most two atomic additions.
type Counts struct {
	answers [len(Classes)][untimed + 1]atomic.Uint64
	took    atomic.Int64
}

// Add counts an answer with a status, 0 for none, that took a time.
func (c *Counts) Add(status int, took time.Duration) {
	column := 0
	for column < len(Bounds) && took > Bounds[column] {
		column++
	}
	c.answers[classOf(status)][column].Add(1)
	c.took.Add(int64(took))
}

// AddUntimed counts an answer by its status alone, such as the one that opens a tunnel.
func (c *Counts) AddUntimed(status int) { c.answers[classOf(status)][untimed].Add(1) }

// classOf returns the index of a status in Classes. 600 and above counts as 5xx (RFC 9110 §15).
func classOf(status int) int { return min(max(status, 0)/100, len(Classes)-1) }

// Totals are what was counted.
type Totals struct {
	ByClass [len(Classes)]uint64
	UpTo    [len(Bounds)]uint64 // by bound: how many answers took so long at most
	Timed   uint64              // all of which it is known how long they took
	Took    time.Duration       // together
}

// Totals returns what was counted until now.
func (c *Counts) Totals() (t Totals) {
	for class := range c.answers {
		for column := range c.answers[class] {
			n := c.answers[class][column].Load()
			t.ByClass[class] += n
			if column == untimed {
				continue
			}
			t.Timed += n
			for i := column; i < len(Bounds); i++ {
				t.UpTo[i] += n
			}
		}
	}
	t.Took = time.Duration(c.took.Load())
	return t
}

// Buckets returns UpTo as histograms of Prometheus have it: by the bounds in seconds.
func (t *Totals) Buckets() map[float64]uint64 {
	all := make(map[float64]uint64, len(Bounds))
	for i, bound := range Bounds {
		all[bound.Seconds()] = t.UpTo[i]
	}
	return all
}
