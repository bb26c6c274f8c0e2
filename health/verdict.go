package health

// A verdict says whether a host is up, by the results of its checks:
//
//	unknown ──first result──▶ up ──fall failures in a row──▶ down
//	                           ▲                               │
//	                           └──────rise passes in a row─────┘
type verdict struct {
	known   bool
	up      bool
	against int // results in a row that contradict up
}

// update adds one result and reports whether the verdict has changed. ok says whether
// the check passed. The first result sets the verdict alone, so that users of a balancer
// that has just started don't wait for a second one.
func (v *verdict) update(ok bool, rise, fall int) (changed bool) {
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
