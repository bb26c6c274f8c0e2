package proxy

import (
	"context"
	"sync/atomic"
	"time"
)

// A streamLimit keeps the promise of limits.connections for HTTP/2: that each
// connection finds a file for its host. Of the streams of one connection, one at a
// time may always be with a host. Each further one counts as a connection, and of
// these there are at most limits.streams, a quarter of that for one source. So a
// client that opens many streams, and takes none of the answers, leaves others their
// connections and their streams.
//
// It is safe for concurrent use.
type streamLimit struct {
	room    *room
	most    int64 // further streams of all connections; as many again may wait
	share   int64 // further streams of one source
	open    atomic.Int64
	waiting atomic.Int64
}

func newStreamLimit(most int, r *room) *streamLimit {
	return &streamLimit{room: r, most: int64(most), share: int64(max(most/4, 1))}
}

// ofConnection returns how many streams a client is told that it may open on one
// connection: no more than one source has places for.
func (l *streamLimit) ofConnection() int {
	const least = 8
	return int(max(least, min(maxStreams, l.share+1)))
}

// take counts a further stream of a source, unless there are too many.
func (l *streamLimit) take(from *source) bool {
	switch {
	case l.open.Add(1) > l.most:
	case !from.takeStream(l.share):
	case l.room.take():
		return true
	default:
		from.giveStream()
	}
	l.open.Add(-1)
	return false
}

// give ends what take has counted.
func (l *streamLimit) give(from *source) {
	l.room.leave()
	from.giveStream()
	l.open.Add(-1)
}

// A streamPlace is a stream's permission to use a connection to a host.
type streamPlace uint8

const (
	noPlace      streamPlace = iota
	ownPlace                 // the one that each connection has
	furtherPlace             // counted by the streamLimit
)

// takePlace returns a place for a stream. If there is none, it waits for the
// connection's own for as long as a connection to a host may take, unless many
// streams wait already. noPlace means that none came free, or that ctx has ended.
func (h *h2conn) takePlace(ctx context.Context) streamPlace {
	l := h.srv.p.streams
	select {
	case h.own <- struct{}{}:
		return ownPlace
	default:
	}
	if l.take(h.source) {
		h.srv.p.opt.Metrics.furtherStreams.Inc()
		return furtherPlace
	}
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > l.most {
		h.srv.p.opt.Metrics.streamRefusals.Inc()
		return noPlace
	}
	h.srv.p.opt.Metrics.streamWaits.Inc()
	timer := time.NewTimer(h.srv.p.cfg.Timeouts.Connect)
	defer timer.Stop()
	select {
	case h.own <- struct{}{}:
		return ownPlace
	case <-timer.C:
		h.srv.p.opt.Metrics.streamRefusals.Inc()
	case <-ctx.Done():
	}
	return noPlace
}

// givePlace gives a place back.
func (h *h2conn) givePlace(p streamPlace) {
	switch p {
	case ownPlace:
		<-h.own
	case furtherPlace:
		h.srv.p.streams.give(h.source)
		h.srv.p.opt.Metrics.furtherStreams.Dec()
	}
}

// crowded is the fault of a stream for which there was no place.
var crowded = fault{status: 503, end: endRefused, detail: "too many requests are under way; it is worth trying again"}
