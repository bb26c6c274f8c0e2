package route

import (
	"errors"
	"fmt"
	"time"
)

// A DrainEnd says how a drain ends. The zero value is a drain that ends with the last
// session.
type DrainEnd struct {
	// Deadline is until when sessions stay. From then on they are closed, and no token comes
	// back to the host because it was there before. Zero: they stay as long as they like.
	Deadline time.Time `json:"deadline,omitzero"`
	// Rate is how many terminals all balancers together close in a second then, those first
	// that were idle the longest. 0 stands for DefaultDrainRate.
	Rate int `json:"rate,omitempty"`
}

// The bounds of a DrainEnd.
const (
	DefaultDrainRate = 20
	MaxDrainRate     = 10_000
	MaxDrain         = 30 * 24 * time.Hour // from now to the deadline
)

// Check returns what is wrong with d, nil if nothing.
func (d DrainEnd) Check() error {
	switch {
	case d.Rate < 0 || d.Rate > MaxDrainRate:
		return fmt.Errorf("the rate %d is not in 1..%d", d.Rate, MaxDrainRate)
	case d.Rate != 0 && d.Deadline.IsZero():
		return errors.New("a rate needs a deadline: without one no terminal is closed")
	}
	return nil
}

// Over reports whether the deadline has passed.
func (d DrainEnd) Over(now time.Time) bool { return !d.Deadline.IsZero() && !now.Before(d.Deadline) }

// PerSecond returns how many terminals all balancers together close in a second.
func (d DrainEnd) PerSecond() int {
	if d.Rate == 0 {
		return DefaultDrainRate
	}
	return d.Rate
}
