package session

import (
	"sync"

	"tokenring/balancer"
	"tokenring/mutant"
	"tokenring/route"
)

// An Elder is the sessions of an older process of this balancer, as the newest process
// knows them from Reports. It enters each key's terminals there into Sessions as one
// Terminal, so all rules of Sessions hold for them: the key stays on its host, and if Add
// or End ends the terminals, the older process is told, and they have ended before Add or
// End returns. Its methods are safe for concurrent use.
type Elder struct {
	sessions *Sessions
	owner    ElderOwner
	ending   sync.WaitGroup // ends that Update has begun

	mu     sync.Mutex
	keys   map[balancer.Digest]*older
	closed bool
}

// An ElderOwner is what an Elder needs. Its methods must be safe for concurrent use. All
// but End must not block and must not call Sessions or the Elder.
type ElderOwner interface {
	// End tells the older process to end its terminals of some keys, and returns when
	// they have ended, or that process has.
	End(keys []balancer.Digest, why string)
	// Keeps is as for Sessions.Add.
	Keeps(host string) bool
	// WhyEnd returns why terminals at an endpoint are to be ended: "" if they may stay.
	WhyEnd(at route.Endpoint) string
	// Counted says that a host has n more terminals of the older process, or fewer if n is
	// negative. ended is the key whose last terminal there has ended; else it is zero.
	Counted(host string, n int, ended balancer.Digest)
}

// An older is a key's terminals in an older process.
type older struct {
	Terminal
	elder *Elder
	at    route.Endpoint
	n     int32 // how many there are; guarded by the lock of the session's shard
}

// End implements Tunnel.
func (o *older) End(why string) { o.elder.owner.End([]balancer.Digest{o.session.digest}, why) }

// Retired implements Tunnel.
func (o *older) Retired() bool { return o.elder.owner.WhyEnd(o.at) == Moved }

// Detail implements Tunnel.
func (o *older) Detail() (Detail, bool) { return Detail{}, false }

// weight returns for how many terminals t stands. The lock of the session's shard is held.
func (t *Terminal) weight() int32 {
	if o, ok := t.Tunnel.(*older); ok {
		return o.n
	}
	return 1
}

// NewElder returns the sessions of an older process, of which nothing is known yet.
func (s *Sessions) NewElder(owner ElderOwner) *Elder {
	return &Elder{sessions: s, owner: owner, keys: map[balancer.Digest]*older{}}
}

// Update takes Reports of the older process into account, in their order. If a key there
// has terminals that it must not have, because this process has the key on another host
// that keeps it, or because of ElderOwner.WhyEnd, Update has them ended. It doesn't wait
// for that. After Close it does nothing.
func (e *Elder) Update(reports []Report) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || mutant.On(mutant.ForgetGenerations) {
		return
	}
	wrong := map[string][]balancer.Digest{} // by the reason
	var displaced []Tunnel
	for i := range reports {
		why, tunnels := e.update(&reports[i])
		if displaced = append(displaced, tunnels...); why != "" {
			wrong[why] = append(wrong[why], reports[i].Digest)
		}
	}
	for why, keys := range wrong {
		e.ending.Go(func() { e.owner.End(keys, why) })
	}
	if len(displaced) > 0 {
		e.ending.Go(func() { endAll(displaced, Moved) })
	}
}

// update takes one Report into account. It returns why the terminals there are to be
// ended, "" if they may stay, and the tunnels that they displace. mu is held.
func (e *Elder) update(r *Report) (why string, displaced []Tunnel) {
	at, known := r.endpoint(), e.keys[r.Digest]
	if known != nil && (r.Terminals == 0 || known.at != at) {
		e.forget(known)
		known = nil
	}
	switch {
	case r.Terminals == 0:
		return "", nil
	case known != nil:
		e.owner.Counted(at.Name, e.sessions.recount(known, r.Terminals), balancer.Digest{})
		e.sessions.watches.changedElsewhere(r.Digest)
	default:
		known = &older{elder: e, at: at, n: r.Terminals}
		known.Tunnel = known
		var ok bool
		displaced, ok = e.sessions.shard(r.Digest).enter(r.key(), &known.at, &known.Terminal, e.owner.Keeps)
		switch {
		case !ok && e.sessions.frozen(r.Digest): // a newer process decides
			return "", nil
		case !ok:
			return Moved, nil
		}
		e.keys[r.Digest] = known
		e.owner.Counted(at.Name, int(r.Terminals), balancer.Digest{})
		e.sessions.watches.changedElsewhere(r.Digest)
	}
	if !e.sessions.holds(&known.Terminal) { // a terminal of this process has displaced them
		return Moved, displaced
	}
	return e.owner.WhyEnd(at), displaced
}

// forget takes out a key that has no terminals there any more. mu is held.
func (e *Elder) forget(o *older) {
	key := o.session.digest
	delete(e.keys, key)
	e.sessions.Remove(&o.Terminal)
	e.owner.Counted(o.at.Name, -int(o.n), key)
}

// Close takes out all that the older process had, because that process has ended, or
// because this one isn't the newest any more. It waits for the ends that Update has begun.
func (e *Elder) Close() {
	e.mu.Lock()
	e.closed = true
	for _, o := range e.keys {
		e.forget(o)
	}
	e.mu.Unlock()
	e.ending.Wait()
}

// recount sets for how many terminals o stands, and returns how many there are more.
func (s *Sessions) recount(o *older, n int32) (more int) {
	shard := s.shard(o.session.digest)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	more = int(n - o.n)
	o.session.terminals += n - o.n
	o.n = n
	return more
}

// holds reports whether t is in the present session of its key.
func (s *Sessions) holds(t *Terminal) bool {
	shard := s.shard(t.session.digest)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return shard.live[t.session.digest] == t.session
}
