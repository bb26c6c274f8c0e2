package session

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"tokenring/balancer"
	"tokenring/notify"
)

// A Watch gives the sessions of a Sessions, and from then on their changes. It remembers
// only which keys have changed: several changes of one key are one Report, of the state at
// the time of Next. Changes don't wait for the sessions of the beginning.
//
// Next is for one goroutine. The other methods are safe for concurrent use.
type Watch struct {
	sessions  *Sessions
	lingering Lingering // nil without the terminals of older processes
	note      notify.Note

	mu      sync.Mutex
	first   []balancer.Digest            // those of the beginning that Next has still to return
	changed map[balancer.Digest]struct{} // since Next has returned them
	taken   int                          // how many keys Next has returned last
	idle    chan struct{}                // closed when nothing is pending; nil while nobody waits
}

// Lingering is the keys without terminals that keep their hosts for a while. Its methods must
// be safe for concurrent use.
type Lingering interface {
	// Lingers returns the host of a key that lingers, and how many seconds ago it was used.
	// It returns "" for other keys.
	Lingers(key balancer.Digest) (host string, age uint32)
	// Lingering returns the keys for which Lingers returns a host.
	Lingering() []balancer.Digest
}

// Watch returns a Watch of this process's terminals. It begins with all of them. The caller
// must call Close.
func (s *Sessions) Watch() *Watch { return s.watch(nil) }

// WatchAll returns a Watch for another balancer: it has the terminals of older processes as
// well, and the keys that linger. It begins with all of them. The caller must call Close.
func (s *Sessions) WatchAll(l Lingering) *Watch {
	w := s.watch(l)
	w.first = append(w.first, l.Lingering()...)
	return w
}

// Used says to those that watch all, that a key that lingers has been used. It must be called
// after Lingering knows of that.
func (s *Sessions) Used(key balancer.Digest) { s.watches.changedElsewhere(key) }

func (s *Sessions) watch(l Lingering) *Watch {
	w := &Watch{sessions: s, lingering: l, note: notify.NewNote(), changed: map[balancer.Digest]struct{}{}}
	s.watches.add(w) // before it visits the shards, so that it misses no change
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for key := range shard.live {
			w.first = append(w.first, key)
		}
		shard.mu.Unlock()
	}
	return w
}

// Next returns the Reports of keys that have changed, up to a few hundred. If there are
// none, it waits for the next change. It returns an error only if ctx ends, whose cause
// that is. The Reports that it has returned are pending until it is called again: the caller
// calls it when they have been sent.
func (w *Watch) Next(ctx context.Context) ([]Report, error) {
	for {
		if keys := w.take(); len(keys) > 0 {
			reports := make([]Report, len(keys))
			for i, key := range keys {
				reports[i] = w.report(key)
			}
			return reports, nil
		}
		select {
		case <-w.note:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// report returns the state of a key.
func (w *Watch) report(key balancer.Digest) Report {
	r := w.sessions.report(key, w.lingering != nil)
	if r.Terminals == 0 && w.lingering != nil {
		r.Host, r.Age = w.lingering.Lingers(key)
	}
	return r
}

// Pending returns how many Reports there are that haven't been sent: those that Next has
// still to return, and those that it has returned last if it hasn't been called again.
func (w *Watch) Pending() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending()
}

// pending is Pending. mu is held.
func (w *Watch) pending() int { return len(w.first) + len(w.changed) + w.taken }

// Snapshot reports whether Next has returned all sessions that there were at the beginning.
func (w *Watch) Snapshot() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.first) == 0
}

// CaughtUp returns when no Report is pending. It returns an error only if ctx ends, whose
// cause that is.
func (w *Watch) CaughtUp(ctx context.Context) error {
	w.mu.Lock()
	if w.pending() == 0 {
		w.mu.Unlock()
		return nil
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends the Watch.
func (w *Watch) Close() { w.sessions.watches.remove(w) }

// take returns some of the keys that have changed, and then of those of the beginning. Those
// that it has returned before have been sent.
func (w *Watch) take() []balancer.Digest {
	const some = 500 // about 100 KB as JSON
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := make([]balancer.Digest, 0, min(some, len(w.first)+len(w.changed)))
	for key := range w.changed {
		if len(keys) == some {
			break
		}
		keys = append(keys, key)
		delete(w.changed, key)
	}
	left := max(0, len(w.first)-(some-len(keys)))
	keys, w.first = append(keys, w.first[left:]...), w.first[:left]
	if left == 0 {
		w.first = nil // a million of them would take 16 MB
	}
	if w.taken = len(keys); w.pending() == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
	return keys
}

func (w *Watch) add(key balancer.Digest) {
	w.mu.Lock()
	w.changed[key] = struct{}{}
	w.mu.Unlock()
	w.note.Leave()
}

// watches are the Watches of a Sessions: one for each newer process and for each other
// balancer. Without any, changed costs nothing.
type watches struct {
	mu  sync.Mutex // is held while all changes
	all atomic.Pointer[[]*Watch]
}

// changed tells all Watches that the session of a key has changed. It must be called after
// the change.
func (l *watches) changed(key balancer.Digest) {
	if all := l.all.Load(); all != nil {
		for _, w := range *all {
			w.add(key)
		}
	}
}

// changedElsewhere is changed for what isn't about this process's terminals.
func (l *watches) changedElsewhere(key balancer.Digest) {
	if all := l.all.Load(); all != nil {
		for _, w := range *all {
			if w.lingering != nil {
				w.add(key)
			}
		}
	}
}

func (l *watches) add(w *Watch) { l.change(func(all []*Watch) []*Watch { return append(all, w) }) }

func (l *watches) remove(w *Watch) {
	l.change(func(all []*Watch) []*Watch {
		return slices.DeleteFunc(all, func(other *Watch) bool { return other == w })
	})
}

// change replaces all by what edit makes of a copy.
func (l *watches) change(edit func([]*Watch) []*Watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*Watch
	if old := l.all.Load(); old != nil {
		all = slices.Clone(*old)
	}
	if all = edit(all); len(all) == 0 {
		l.all.Store(nil)
		return
	}
	l.all.Store(&all)
}
