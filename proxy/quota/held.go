package quota

import "sync"

// An Owner is what counts as open: a pointer to a connection, a handshake or a terminal.
type Owner any

// held are the slots of all owners. They aren't in the owners themselves, because most balancers have no
// such limits.
type held struct {
	mu  sync.Mutex
	all map[Owner]slots
}

// slots are those of one owner.
type slots struct{ connection, bySource, byKey slot }

func (s *slots) giveBack() {
	s.connection.giveBack()
	s.endTerminal()
}

func (s *slots) endTerminal() {
	s.bySource.giveBack()
	s.byKey.giveBack()
}

// add adds slots to those of an owner.
func (h *held) add(o Owner, more slots) {
	if more == (slots{}) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all[o]
	for _, one := range []struct{ of, more *slot }{
		{&all.connection, &more.connection}, {&all.bySource, &more.bySource}, {&all.byKey, &more.byKey},
	} {
		if one.more.t != nil {
			*one.of = *one.more
		}
	}
	if h.all == nil {
		h.all = map[Owner]slots{}
	}
	h.all[o] = all
}

// take removes the slots of an owner and returns them.
func (h *held) take(o Owner) slots {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all[o]
	delete(h.all, o)
	return all
}

// Move has what counts for an owner count for another one, into which it turns.
func (q *Quotas) Move(from, to Owner) {
	if q != nil {
		q.held.add(to, q.held.take(from))
	}
}

// Ended ends the count of a terminal whose client may still be connected.
func (q *Quotas) Ended(o Owner) {
	if q == nil {
		return
	}
	q.held.mu.Lock()
	all, ok := q.held.all[o]
	if ok {
		q.held.all[o] = slots{connection: all.connection}
	}
	q.held.mu.Unlock()
	all.endTerminal()
}

// Closed ends all that counts for an owner. It may be called again, to no effect.
func (q *Quotas) Closed(o Owner) {
	if q == nil {
		return
	}
	all := q.held.take(o)
	all.giveBack()
}
