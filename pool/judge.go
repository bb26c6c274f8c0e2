package pool

import "time"

// A witness is what speaks for and against one host.
type witness struct {
	state    State
	leaving  bool
	static   bool
	weight   int
	crowded  bool // there is no room for it
	contact  Contact
	lostAt   time.Time // since when contact is Lost or Missing
	verdict  Verdict
	busy     bool      // somebody is still connected through us
	admitted bool      // by the ruling before
	inRing   bool      // by the ruling before
	deadAt   time.Time // by the ruling before

	failingAt time.Time // by the ruling before
}

// A ruling is what follows for one host.
//
//	(new) ──passes its checks──▶ admitted ──lost and failing for a while──▶ (out)
//	                                │  ▲                                      │
//	                           leaving  └──────────passes its checks──────────┘
//	                                ▼
//	                              (out) ──gone for a while──▶ forgotten
//
// While the ring is frozen, neither the way in nor the one out as lost is open, and
// who was out by an operator's word waits for the thaw, too.
type ruling struct {
	admitted bool      // it may be in the ring as far as gossip and checks are concerned
	inRing   bool      // admitted, ready, and with a weight
	whyNot   string    // "" if inRing
	deadAt   time.Time // since when gossip has lost it and its checks fail; zero if they don't
	forget   bool      // nobody needs to know it any longer

	failingAt    time.Time // since when its checks haven't passed; zero if they pass
	failedBefore bool      // the ring is frozen, and the host's checks failed long before
}

// patience is how long judge waits before it believes in a loss.
type patience struct {
	settle     time.Duration // from the two witnesses' agreement to removal, so that hosts that vanish together are seen together
	forgetLeft time.Duration // from a graceful departure to oblivion
	forgetLost time.Duration // from a loss to oblivion
	freeze     FreezeConfig  // with its defaults
}

var defaultPatience = patience{
	settle: 5 * time.Second, forgetLeft: 30 * time.Second, forgetLost: 15 * time.Minute,
	freeze: FreezeConfig{}.WithDefaults(),
}

// judge says for each witness, by index, who is in the ring. before is the
// freeze that it returned the last time. next is the moment at which time alone
// changes a ruling; zero if none does.
func judge(now time.Time, ws []witness, before freeze, p patience) (rulings []ruling, after freeze, next time.Time) {
	after = before.judge(now, ws, p)
	next = after.until
	soonest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	rulings = make([]ruling, len(ws))
	for i, w := range ws {
		r := &rulings[i]
		w = w.heldBy(after)
		r.failingAt = w.failing(now)
		r.failedBefore = after.frozen && w.failedBefore(now, after.from(now, p))
		if w.dead() {
			r.deadAt = firstOf(w.deadAt, now)
		}
		r.admitted = w.admitted && !w.leaving
		if !after.frozen && !w.leaving {
			if w.verdict == Up {
				r.admitted = true
			}
			if r.admitted && w.dead() {
				removal := latest(r.deadAt, after.thawed).Add(p.settle)
				if r.admitted = now.Before(removal); r.admitted {
					soonest(removal)
				}
			}
		}
		r.whyNot = whyNot(w, r.admitted && !(before.frozen && after.frozen && !w.inRing))
		r.inRing = r.whyNot == ""
		if oblivion, ok := p.oblivion(w, r.admitted, after.frozen); ok {
			if r.forget = !now.Before(oblivion); !r.forget {
				soonest(oblivion)
			}
		}
	}
	return rulings, after, next
}

// dead reports whether both witnesses say that the host is gone. A host of the
// config file has only one.
func (w witness) dead() bool { return !w.static && w.away() && w.verdict == Down }

// away reports whether gossip knows of the host and doesn't have it.
func (w witness) away() bool { return w.contact == Lost || w.contact == Missing }

// whyNot says why the host isn't in the ring, "" if it is. The operator's word
// comes first, then the host's own, then what was observed. What passes its
// checks and still isn't admitted waits for the thaw.
func whyNot(w witness, admitted bool) string {
	switch {
	case w.state == Maint:
		return WhyMaint
	case w.state == Drain:
		return WhyDrain
	case w.leaving:
		return WhyLeaving
	case w.weight <= 0:
		return WhyWeight
	case w.crowded:
		return WhyRoom
	case admitted:
		return ""
	case w.dead():
		return WhyLost
	case w.verdict == Unchecked:
		return WhyUnchecked
	case w.verdict == Down:
		return WhyFailing
	}
	return WhyFrozen
}

// oblivion returns when the host may be forgotten, and whether it may at all: a
// host that left on purpose soon, a lost one later, unless its checks pass or the
// ring is frozen. One through which somebody is still connected stays. A missing
// one goes even while the ring is frozen: what was gone for good before we started
// must not keep it so for ever.
func (p patience) oblivion(w witness, admitted, frozen bool) (time.Time, bool) {
	switch {
	case w.static || !w.away() || w.busy:
		return time.Time{}, false
	case w.leaving:
		return w.lostAt.Add(p.forgetLeft), true
	case w.contact == Missing:
	case admitted || frozen || w.verdict == Up:
		return time.Time{}, false
	}
	return w.lostAt.Add(p.forgetLost), true
}

// firstOf returns t, or otherwise if t is zero.
func firstOf(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
