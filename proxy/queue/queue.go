// Package queue bounds the requests that are in progress on one host. Those beyond the bound wait in
// a queue, which is bounded as well, and get their turn in the order in which they have come.
package queue

import (
	"container/list"
	"sync"
)

// Slots are what the requests in progress on a host take: one each. The zero value has no bound. It
// is safe for concurrent use.
type Slots struct {
	mu      sync.Mutex
	bound   int       // how many may be taken; 0: any number
	taken   int       // by requests that have Give still to call
	waiting list.List // of *Place; empty while a slot is free
}

// SetBound sets how many slots there are; 0: any number. If that is less than are taken, slots that
// are given back are taken by nobody until it isn't any more.
func (s *Slots) SetBound(bound int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound = bound
	s.grantLocked()
}

// Take takes a slot. If none is free, it takes a place in the queue, in which there may be so many
// places. Without a place and a slot, the queue is full. Whoever has a slot calls Give once; whoever
// has a place calls Leave once.
func (s *Slots) Take(length int) (p *Place, taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.freeLocked():
		s.taken++
		return nil, true
	case s.waiting.Len() >= length:
		return nil, false
	}
	p = &Place{slots: s, granted: make(chan struct{})}
	p.at = s.waiting.PushBack(p)
	return p, false
}

// Give gives a slot back. The place that has waited for longest gets it.
func (s *Slots) Give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.grantLocked()
}

// Usage returns how many slots are taken, and how many places wait.
func (s *Slots) Usage() (taken, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, s.waiting.Len()
}

// freeLocked reports whether a slot may be taken.
func (s *Slots) freeLocked() bool { return s.bound == 0 || s.taken < s.bound }

// grantLocked gives the slots that are free to the places that have waited for longest.
func (s *Slots) grantLocked() {
	for s.waiting.Len() > 0 && s.freeLocked() {
		p := s.waiting.Remove(s.waiting.Front()).(*Place)
		p.at = nil
		s.taken++
		close(p.granted)
	}
}

// A Place is one in the queue of a host. It belongs to one goroutine.
type Place struct {
	slots   *Slots
	granted chan struct{}
	at      *list.Element // guarded by slots.mu; nil once the place has got a slot
}

// Granted is closed when the place has got a slot.
func (p *Place) Granted() <-chan struct{} { return p.granted }

// Leave ends the wait. It reports whether the place has got a slot, which the caller then has.
func (p *Place) Leave() (taken bool) {
	p.slots.mu.Lock()
	defer p.slots.mu.Unlock()
	if p.at == nil {
		return true
	}
	p.slots.waiting.Remove(p.at)
	return false
}
