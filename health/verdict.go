package health

// A verdict is what we believe about one host:
//
//	unknown ──first result──▶ up ──fall failures in a row──▶ down
//	                           ▲                               │
//	                           └──────rise passes in a row─────┘
type verdict struct {
	known   bool
	up      bool
	against int // results in a row that contradict up
}

// hear takes one result into account and reports whether the verdict changed.
// The first one decides at once: a balancer that has just started can't let
// users wait for a second opinion.
func (v *verdict) hear(ok bool, rise, fall int) (changed bool) {
	if !v.known {
		*v = verdict{known: true, up: ok}
		return true
	}
	if ok == v.up {
		v.against = 0
		return false
	}
	need := fall
	if ok {
		need = rise
	}
	if v.against++; v.against < need {
		return false
	}
	v.up, v.against = ok, 0
	return true
}
