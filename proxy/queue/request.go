package queue

import "time"

// A Request is what one request has of the slots of hosts. The zero value has nothing. It belongs to
// the request's goroutine.
type Request struct {
	slots  *Slots    // of which it has one; nil for none
	by     time.Time // until when it waits in queues; zero before it has waited
	waited time.Duration
	full   []string // hosts that have no slot for it, and that it goes past
}

// Has reports whether the request has one of these slots.
func (r *Request) Has(s *Slots) bool { return r.slots == s }

// Take gives back what the request has, and takes one of the slots, or else a place in the queue: see
// Slots.Take. A request that has waited for as long as it may gets no place.
func (r *Request) Take(s *Slots, c *Config, now time.Time) (p *Place, taken bool) {
	r.Release()
	length := *c.Length
	if !r.by.IsZero() && !now.Before(r.by) {
		length = 0
	}
	switch p, taken = s.Take(length); {
	case taken:
		r.slots = s
	case p != nil && r.by.IsZero():
		r.by = now.Add(c.Wait)
	}
	return p, taken
}

// Left returns for how long the request may still wait.
func (r *Request) Left(now time.Time) time.Duration { return r.by.Sub(now) }

// Leave leaves a place in which the request has waited for a time. If the place has got a slot, the
// request has it.
func (r *Request) Leave(p *Place, waited time.Duration) (taken bool) {
	r.waited += waited
	if taken = p.Leave(); taken {
		r.slots = p.slots
	}
	return taken
}

// Release gives back the slot that the request has, if it has one.
func (r *Request) Release() {
	if r.slots != nil {
		r.slots.Give()
		r.slots = nil
	}
}

// Waited returns for how long the request has waited in queues.
func (r *Request) Waited() time.Duration { return r.waited }

// GoPast has the request go past a host.
func (r *Request) GoPast(host string) { r.full = append(r.full, host) }

// Full returns the hosts that the request goes past.
func (r *Request) Full() []string { return r.full }
