package stream

import (
	"math"
	"slices"
	"time"
)

// A peerClock is what a peer's clock has shown. The zero value is that it isn't known.
type peerClock struct {
	shown time.Time
	at    time.Time // when that was, by the monotonic clock of this machine
}

// known reports whether the peer has told its time.
func (c peerClock) known() bool { return !c.at.IsZero() }

// now returns what the peer's clock shows now. It doesn't depend on this balancer's clock, which
// may have been set meanwhile.
func (c peerClock) now() time.Time { return c.shown.Add(time.Since(c.at)) }

// read returns the clock of a peer whose acknowledgement has told its time. It acknowledges a ping
// that was sent before, so that the time is of the middle between the two, but for half of the
// trip at most. One that has taken long isn't precise: then old is, if it is known.
func (old peerClock) read(shown int64, sent, acknowledged time.Time) peerClock {
	const precise = 200 * time.Millisecond
	trip := acknowledged.Sub(sent)
	if shown <= 0 || old.known() && trip > precise {
		return old
	}
	return peerClock{shown: time.UnixMicro(shown), at: sent.Add(trip / 2)}
}

// appendTaken returns the payload of an ack: the last frame that was taken in, and the time in
// microseconds. Earlier versions tell and read the number alone.
func appendTaken(b []byte, number uint64, now time.Time) []byte {
	return appendNumber(appendNumber(b, number), uint64(max(0, now.UnixMicro())))
}

// readTaken reads what appendTaken has written. The time is 0 if there is none.
func readTaken(payload []byte) (number uint64, shown int64, err error) {
	f := fields{rest: payload}
	number = f.number(math.MaxUint64)
	if f.err == nil && len(f.rest) > 0 {
		shown = int64(f.number(math.MaxInt64))
	}
	return number, shown, f.err
}

// The first and the last time that a clock can show. One that shows less was never set.
var (
	minTime = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// commonTime returns the median of what clocks show, of an even number the earlier one of the two in
// the middle. So a clock that is wrong alone among three doesn't count, and of two both balancers
// take the same. Clocks that show what can't be don't count. It is own if there are no
// others.
func commonTime(own time.Time, peers ...time.Time) time.Time {
	all := slices.DeleteFunc(append([]time.Time{own}, peers...), func(t time.Time) bool { return t.Before(minTime) || t.After(maxTime) })
	if len(all) == 0 {
		return own
	}
	slices.SortFunc(all, time.Time.Compare)
	return all[(len(all)-1)/2]
}

// CommonTime returns how far the common time of the balancers is ahead of this balancer's clock:
// the median of their clocks, also of those of peers that can't be reached any more. It is less
// than zero if this clock is ahead. compared is false if no peer's clock is known yet.
func (h *Hub) CommonTime() (ahead time.Duration, compared bool) {
	own := h.options.Clock()
	var shown []time.Time
	h.mu.Lock()
	for _, p := range h.peers {
		if p.clock.known() {
			shown = append(shown, p.clock.now())
		}
	}
	h.mu.Unlock()
	return commonTime(own, shown...).Sub(own), len(shown) > 0
}
