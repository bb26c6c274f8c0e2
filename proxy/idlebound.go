package proxy

import "sync/atomic"

// An idleBound bounds the connections to hosts that no request uses. Those that
// requests use are no more than the room's, so that there are files for as many
// again: idle ones may have what is left of these. A nil idleBound is none. It is
// safe for concurrent use.
type idleBound struct {
	room *room
	n    atomic.Int64
}

// enter counts an idle connection, unless there are too many.
func (l *idleBound) enter() bool {
	if l == nil {
		return true
	}
	l.n.Add(1)
	if l.exceeded() {
		l.n.Add(-1)
		return false
	}
	return true
}

// leave ends the count of n idle connections.
func (l *idleBound) leave(n int) {
	if l != nil {
		l.n.Add(int64(-n))
	}
}

// exceeded tells whether there are more than are left room for.
func (l *idleBound) exceeded() bool { return l.n.Load() > max(0, l.room.free()) }

// freeIdle closes a connection that no request uses if there is no room for it
// beside the one that is about to be opened.
func (p *Proxy) freeIdle() {
	if !p.idle.exceeded() {
		return
	}
	for _, u := range p.routes.Load().upstreams {
		if l := u.oldest(); l != nil {
			l.close()
			return
		}
	}
}
