package claims

import (
	"sync"

	"tokenring/balancer"
)

// A table has the claims of this balancer: of each key the host that it is about to use, or
// uses in a request that has still to end. It does no I/O and waits for nothing. It is sharded by the key's
// digest. Its methods are safe for concurrent use, but a Hold is for one goroutine.
//
// A claim goes through these states:
//
//	enter ──▶ pending ── conclude ──▶ held ── reopen ──▶ pending …
//	             │ ▲
//	     abandon └─┘ enter: another exchange asks
//
// It is gone when its last Hold is released.
type table struct {
	shards [shards]shard
}

// shards is the number of shards: a power of two, 256 at most, so that the first byte of a
// digest tells the shard.
const shards = 64

type shard struct {
	mu     sync.Mutex
	claims map[balancer.Digest]*claim
	free   *claim // a list of claims that are used again
	frees  int    // how many
}

// maxFree bounds the claims of a shard that are kept to be used again.
const maxFree = 64

// A claim is what this balancer has to do with a key. The lock of its shard guards it.
type claim struct {
	key    balancer.Digest
	where  Where // while pending: the host of the exchange that asks
	state  state
	beaten bool // while pending: a balancer that goes before this one asks, too
	asking bool // while pending: an exchange asks
	holds  int
	using  int           // the holds that have sent something to the host
	epoch  uint32        // grows with each host
	change chan struct{} // closed at the next change; nil if nobody waits for one
	next   *claim        // in the list of free ones
}

// A state is how far a claim is.
type state uint8

const (
	pending state = iota // the other balancers are still to be asked
	held                 // the key has the host
)

// A Hold is the part that one exchange has in the claim of its key. The zero value has none.
// It must not be copied while it has one, and isn't safe for concurrent use.
type Hold struct {
	claim *claim
	asks  bool   // it is this exchange that asks
	using bool   // something was sent to the claim's host
	epoch uint32 // of that host
}

// Held reports whether h has a part in a claim.
func (h *Hold) Held() bool { return h.claim != nil }

// A turn is what an exchange has to do next.
type turn uint8

const (
	use  turn = iota // the key is held for the host
	ask              // this exchange asks the other balancers, and then calls conclude
	wait             // another exchange of this balancer asks
)

func (t *table) lock(key balancer.Digest) *shard {
	s := &t.shards[int(key[0])%shards]
	s.mu.Lock()
	return s
}

// enter has h take part in the claim of a key. If there is no claim, it begins one for a host,
// which is held at once if alone is set, because there is nobody to ask. h may take part
// already. change is closed when the state changes; it is nil unless the turn is wait.
func (t *table) enter(h *Hold, key balancer.Digest, host string, alone bool) (w Where, next turn, change <-chan struct{}) {
	s := t.lock(key)
	defer s.mu.Unlock()
	c := h.claim
	if c == nil {
		if c = s.claims[key]; c == nil {
			c = s.begin(key)
		}
		c.holds++
		h.claim = c
	}
	switch {
	case c.state == held:
		return c.where, use, nil
	case c.asking && !h.asks:
		if c.change == nil {
			c.change = make(chan struct{})
		}
		return c.where, wait, c.change
	}
	c.where, c.beaten = Where{Host: host}, false
	if alone {
		h.asks, c.asking = false, false
		c.hold(c.where)
		return c.where, use, nil
	}
	h.asks, c.asking = true, true
	return c.where, ask, nil
}

// begin returns a new pending claim that nobody holds. s is locked.
func (s *shard) begin(key balancer.Digest) *claim {
	c := s.free
	if c == nil {
		c = new(claim)
	} else {
		s.free = c.next
		s.frees--
	}
	epoch := c.epoch + 1
	*c = claim{key: key, epoch: epoch}
	if s.claims == nil {
		s.claims = map[balancer.Digest]*claim{}
	}
	s.claims[key] = c
	return c
}

// hold has the key held for a host. The shard is locked.
func (c *claim) hold(w Where) {
	c.where, c.state, c.beaten = w, held, false
	c.changed()
}

// changed tells those who wait. The shard is locked.
func (c *claim) changed() {
	if c.change != nil {
		close(c.change)
		c.change = nil
	}
}

// again begins another round of questions. What another balancer has done to the claim before
// doesn't count any more: it is asked again.
func (t *table) again(h *Hold) {
	s := t.lock(h.claim.key)
	defer s.mu.Unlock()
	h.claim.beaten = false
}

// conclude ends a round of questions, of which w is the result: where the key is at another
// balancer. Without a Host there it is for the host for which it was claimed. It returns false
// if another round is needed first, because a balancer that goes before this one has asked
// meanwhile. h must be the one that asks.
func (t *table) conclude(h *Hold, w Where) bool {
	s := t.lock(h.claim.key)
	defer s.mu.Unlock()
	if c := h.claim; c.state == pending && c.beaten {
		return false
	}
	h.conclude(w)
	return true
}

// force is conclude though not all questions were answered. h need not be the one that asks.
func (t *table) force(h *Hold, w Where) {
	s := t.lock(h.claim.key)
	defer s.mu.Unlock()
	h.conclude(w)
}

// conclude has the key held, unless it is already. The shard is locked.
func (h *Hold) conclude(w Where) {
	c := h.claim
	if c.state == pending {
		if w.Host == "" {
			w = c.where
		}
		c.hold(w)
	}
	if h.asks {
		h.asks, c.asking = false, false
	}
}

// reopen gives a key's host up, so that h can enter again for another one. It returns false
// if another exchange has sent something to that host and gone isn't set, which says that
// the host serves nobody any more. It does nothing if the host isn't the claim's any more.
func (t *table) reopen(h *Hold, host string, gone bool) bool {
	c := h.claim
	s := t.lock(c.key)
	defer s.mu.Unlock()
	if c.state != held || c.where.Host != host {
		return true
	}
	others := c.using
	if h.uses() {
		others--
	}
	if others > 0 && !gone {
		return false
	}
	c.state, c.asking, c.using = pending, false, 0
	c.epoch++
	return true
}

// send says that something is about to be sent to a host. It returns false if the key isn't
// held for that host any more: then nothing must be sent.
func (t *table) send(h *Hold, host string) bool {
	c := h.claim
	s := t.lock(c.key)
	defer s.mu.Unlock()
	if c.state != held || c.where.Host != host {
		return false
	}
	if !h.uses() {
		h.using, h.epoch = true, c.epoch
		c.using++
	}
	return true
}

// uses reports whether h has sent something to the host of its claim. The shard is locked.
func (h *Hold) uses() bool { return h.using && h.epoch == h.claim.epoch }

// release ends h's part in its claim. Without a part it does nothing.
func (t *table) release(h *Hold) {
	c := h.claim
	if c == nil {
		return
	}
	s := t.lock(c.key)
	defer s.mu.Unlock()
	if h.uses() {
		c.using--
	}
	if h.asks {
		c.asking = false
		c.changed() // another exchange asks from now on
	}
	*h = Hold{}
	if c.holds--; c.holds > 0 {
		return
	}
	delete(s.claims, c.key)
	if s.frees < maxFree {
		c.next, s.free = s.free, c
		s.frees++
	}
}

// answer returns what to tell another balancer that asks for a key. While both claim it, the
// balancer whose name is the smaller one goes first: first says that it is the asker.
func (t *table) answer(key balancer.Digest, first bool) Answer {
	s := t.lock(key)
	defer s.mu.Unlock()
	c := s.claims[key]
	switch {
	case c == nil:
		return Answer{}
	case c.state == held:
		return Answer{Held, c.where.Host}
	case first:
		c.beaten = true
		return Answer{}
	}
	return Answer{Deciding, c.where.Host}
}

// each calls do for each key that is held, with its host. It holds no lock meanwhile.
func (t *table) each(do func(key balancer.Digest, host string)) {
	type one struct {
		key  balancer.Digest
		host string
	}
	for i := range t.shards {
		s := &t.shards[i]
		var all []one
		s.mu.Lock()
		for key, c := range s.claims {
			if c.state == held {
				all = append(all, one{key, c.where.Host})
			}
		}
		s.mu.Unlock()
		for _, c := range all {
			do(c.key, c.host)
		}
	}
}
