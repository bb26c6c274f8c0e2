package pool

import "time"

// A Decision is what an operator wants of one host.
type Decision struct {
	Host   string    `json:"host"`
	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
	Origin string    `json:"origin"`
}
