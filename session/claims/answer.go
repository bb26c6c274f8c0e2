package claims

// An Answer is what a balancer knows of a key that another one claims.
type Answer struct {
	Kind Kind
	Host string // "" if the Kind is Free
}

// A Kind says what a balancer has of a key. The greater one matters more.
type Kind uint8

// The kinds.
const (
	Free     Kind = iota // nothing
	Deciding             // it claims the key itself for the Host, goes first, and is still asking
	Lingers              // the key was used on the Host lately
	Held                 // the key has a request there that hasn't ended
	Live                 // the key has a terminal there
	kinds
)

// A Where is the host of a claim, and why it is that one.
type Where struct {
	Host string
	Kind Kind   // Free: an exchange of this balancer has chosen the Host; else what the Peer has
	Peer string // the balancer that has told; "" if the Kind is Free
}

// A told is an answer of one peer.
type told struct {
	Answer
	peer string
}

// A doubt is why answers don't decide a claim yet.
type doubt uint8

const (
	certain   doubt = iota
	disagreed       // peers have the key on different hosts: one of them may not any more
	deciding        // a peer decides still
)

// best returns where a key is to go by the answers of peers, and whether that is in doubt.
// binds reports whether a key has to stay where an answer says; the answers for which it
// doesn't count as Free. Of several hosts the one with the greatest Kind counts, and of these the first by
// name, so that all balancers that get the same answers choose the same.
//
// Peers answer at different moments. If one lets the key go after it has answered, another one may
// have claimed it for another host before that one answers: only what they say next tells.
func best(all []told, binds func(Where) bool) (w Where, d doubt) {
	candidate := Where{}
	for _, t := range all {
		switch one := (Where{t.Host, t.Kind, t.peer}); {
		case t.Kind == Free || !binds(one):
			if t.Kind == Deciding {
				d = deciding
			}
		case t.Kind == Deciding:
			d = deciding
			candidate = better(candidate, one)
		default:
			if w.Host != "" && w.Host != one.Host && w.Peer != one.Peer {
				d = max(d, disagreed)
			}
			w = better(w, one)
		}
	}
	if w.Host == "" {
		w = candidate
	}
	return w, d
}

// better returns the one of a and b that matters more. A Where without a Host doesn't matter.
func better(a, b Where) Where {
	switch {
	case a.Host == "":
		return b
	case b.Host == "", a.Kind > b.Kind:
		return a
	case b.Kind > a.Kind, b.Host < a.Host, b.Host == a.Host && b.Peer < a.Peer:
		return b
	}
	return a
}
