package admin

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/balancer"
	"tokenring/pool"
)

// An aim is what an operator's decision makes of a host.
type aim struct {
	state  pool.State
	weight int
}

// aimOf returns what d, which is about h, makes of it.
func aimOf(d pool.Decision, h *pool.Host) aim {
	a := aim{state: cmp.Or(d.State, h.State), weight: h.Weight}
	switch {
	case d.Weight == nil:
	case *d.Weight == pool.OwnWeight:
		a.weight = h.Announced
	default:
		a.weight = *d.Weight
	}
	return a
}

// change returns what becomes of the ring when h is as a wants it; nothing if
// that makes no difference. A host that would be let in again counts as if it
// served at once.
func (a aim) change(h *pool.Host) balancer.Change {
	in := a.state == pool.Ready && a.weight > 0 && !h.Leaving
	switch {
	case h.InRing && !in:
		return balancer.Change{Leave: []string{h.Name}}
	case h.InRing && a.weight != h.Weight:
		return balancer.Change{Weights: map[string]int{h.Name: a.weight}}
	case in && !h.InRing:
		return balancer.Change{Join: []balancer.Host{{Name: h.Name, ID: h.ID, Weight: a.weight}}}
	}
	return balancer.Change{}
}

func isEmpty(c balancer.Change) bool { return len(c.Leave)+len(c.Join)+len(c.Weights) == 0 }

// confirm refuses a decision about h that would move more of the keys than
// limit. It must be the caller's turn to build, until the decision is in force:
// what comes next is judged by the ring that this one leaves. Errors are answers.
func (s *Server) confirm(snap *pool.Snapshot, h *pool.Host, a aim, limit float64) error {
	change := a.change(h)
	if limit >= 1 || isEmpty(change) {
		return nil
	}
	p, err := s.plan(snap, change, "")
	if err != nil || !p.beyond(limit) {
		return err
	}
	return newTooMuch(h.Name, p, limit)
}

// A tooMuch refuses a decision that would move more of the keys than whoever has
// sent it allows. It is problem details with members of its own (RFC 9457 §3.2).
type tooMuch struct {
	huma.ErrorModel
	Moved         float64 `json:"moved"`
	MaxMoved      float64 `json:"max_moved"`
	Sessions      int     `json:"sessions"`
	SessionsMoved int     `json:"sessions_moved"`
	SessionsExact bool    `json:"sessions_exact"`
}

func newTooMuch(host string, p plan, limit float64) *tooMuch {
	t := &tooMuch{Moved: p.Moved, MaxMoved: limit, Sessions: p.shift.open, SessionsMoved: whole(p.shift.moved), SessionsExact: p.shift.exact}
	t.Status, t.Title = http.StatusConflict, http.StatusText(http.StatusConflict)
	t.Detail = fmt.Sprintf("nothing was decided: this decision about %s would move %.1f %% of the tokens, and max_moved allows %.1f %%; "+
		"%d of the %d terminals that are open here would go with them once they reconnect. POST /v1/whatif says which. "+
		"To decide it all the same, send it without max_moved", host, 100*t.Moved, 100*limit, t.SessionsMoved, t.Sessions)
	return t
}
