package announcement

import (
	"encoding/binary"
	"errors"
	"time"
)

// A Drain is a host's announcement that it drains: it gets no new sessions. The zero value
// stands for a host that announces no drain. Its times are whole milliseconds in UTC.
type Drain struct {
	Since    time.Time `json:"since,omitzero"`    // when the host has begun to drain
	Deadline time.Time `json:"deadline,omitzero"` // until when its sessions stay; zero: as long as they like
}

// NewDrain returns a drain since a time, with a deadline, which may be zero.
func NewDrain(since, deadline time.Time) Drain {
	d := Drain{Since: since.UTC().Truncate(time.Millisecond)}
	if !deadline.IsZero() {
		d.Deadline = deadline.UTC().Truncate(time.Millisecond)
	}
	return d
}

// Drains reports whether the host drains.
func (d Drain) Drains() bool { return d != Drain{} }

// drainSize is how much a drain adds to the fixed part, in bytes: two times in milliseconds
// since 1970, of which that of the deadline is 0 if there is none.
const drainSize = 8 + 8

// lastSecond is the last one that has a text in JSON, whose years have four digits.
var lastSecond = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// check returns what is wrong with d.
func (d Drain) check() error {
	start := time.Unix(0, 0)
	switch {
	case d == Drain{}:
		return nil
	case !d.Since.After(start) || d.Since.After(lastSecond):
		return errors.New("a host that drains must say since when")
	case !d.Deadline.IsZero() && (!d.Deadline.After(start) || d.Deadline.After(lastSecond)):
		return errors.New("the deadline of the host's drain is no possible time")
	}
	return nil
}

// appendTo adds d to the fixed part of a wire form.
func (d Drain) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.Since.UnixMilli()))
	if d.Deadline.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(d.Deadline.UnixMilli()))
}

// readDrain reads what appendTo has written: drainSize bytes.
func readDrain(b []byte) (d Drain) {
	d.Since = time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC()
	if deadline := binary.BigEndian.Uint64(b[8:]); deadline != 0 {
		d.Deadline = time.UnixMilli(int64(deadline)).UTC()
	}
	return d
}
