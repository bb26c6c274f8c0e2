package stream

import (
	"errors"
	"sync"
	"time"
)

const (
	maxFrames = 16 // of reports that aren't acknowledged
	maxPings  = 10 // that aren't acknowledged
)

var (
	errBehind = errors.New("it takes in nothing of what it is told")
	errAhead  = errors.New("it acknowledges what it wasn't told")
)

// A window is what was sent on a stream and isn't acknowledged. It is safe for concurrent
// use.
type window struct {
	mu            sync.Mutex
	sent          []sentFrame // by number
	last          uint64      // number of the last frame that was sent
	frames, pings int         // in sent
	reports       int         // in the frames
	trip          time.Duration
}

// A sentFrame is a frame whose acknowledgement means something.
type sentFrame struct {
	number  uint64
	kind    byte
	reports int
	at      time.Time // of a ping
}

// add adds a frame that is about to be sent. Its error is that the peer acknowledges no pings.
func (w *window) add(f sentFrame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = f.number
	switch f.kind {
	case kindPing, kindReports, kindSnapshotEnd:
		w.sent = append(w.sent, f)
		w.count(f, 1)
	}
	if w.pings > maxPings {
		return errBehind
	}
	return nil
}

func (w *window) count(f sentFrame, n int) {
	switch f.kind {
	case kindPing:
		w.pings += n
	case kindReports:
		w.frames += n
		w.reports += n * f.reports
	}
}

// acknowledge takes an acknowledgement into account. It reports whether the end of the
// snapshot is among what it acknowledges, and when the last ping of that was sent; zero if
// there is none.
func (w *window) acknowledge(number uint64, now time.Time) (snapshot bool, pinged time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number > w.last {
		return false, time.Time{}, errAhead
	}
	n := 0
	for ; n < len(w.sent) && w.sent[n].number <= number; n++ {
		f := w.sent[n]
		w.count(f, -1)
		snapshot = snapshot || f.kind == kindSnapshotEnd
		if f.kind == kindPing {
			w.trip, pinged = now.Sub(f.at), f.at
		}
	}
	w.sent = append(w.sent[:0], w.sent[n:]...)
	return snapshot, pinged, nil
}

// full reports whether reports have to wait for acknowledgements.
func (w *window) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frames >= maxFrames
}

// pending returns how many reports aren't acknowledged.
func (w *window) pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reports
}

// rtt returns how long the last acknowledged ping has taken.
func (w *window) rtt() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trip
}
