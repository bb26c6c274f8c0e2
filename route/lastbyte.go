package route

import (
	"sync/atomic"
	"time"
)

// A LastByte is when a byte has come from a host last. Its zero value says that none has. It
// is safe for concurrent use, and cheap enough to be told of every event of a tunnel.
type LastByte struct {
	first atomic.Pointer[time.Time] // the first time of all; it has the monotonic clock
	since atomic.Int64              // nanoseconds from then to the last time
}

// lastByteStep is how much too early At may be.
const lastByteStep = 100 * time.Millisecond

// Note says that a byte has come at the time now. It allocates the first time only.
func (b *LastByte) Note(now time.Time) {
	first := b.first.Load()
	if first == nil {
		b.begin(now)
		return
	}
	if since := int64(now.Sub(*first)); since-b.since.Load() >= int64(lastByteStep) { // seldom, so that processors can share it
		b.since.Store(since)
	}
}

func (b *LastByte) begin(now time.Time) { b.first.CompareAndSwap(nil, &now) }

// At returns when a byte has come last, up to a tenth of a second too early; zero if none has.
func (b *LastByte) At() time.Time {
	first := b.first.Load()
	if first == nil {
		return time.Time{}
	}
	return first.Add(time.Duration(b.since.Load()))
}
