package admin

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/balancer"
	"tokenring/route"
)

// A target is the state and the weight that a host has with an override.
type target struct {
	state  route.State
	weight int
}

// targetOf returns the state and the weight of h when o is in force.
func targetOf(o route.Override, h *route.Host) target {
	t := target{state: cmp.Or(o.State, h.State), weight: h.Weight}
	switch {
	case o.Weight == nil:
	case *o.Weight == route.OwnWeight:
		t.weight = h.Counted
	default:
		t.weight = *o.Weight
	}
	return t
}

// change returns how the ring changes when h becomes as t says. The result is empty
// if the ring stays the same. A host that comes back counts as if it served at once.
func (t target) change(h *route.Host) balancer.Change {
	in := t.state == route.Ready && t.weight > 0 && !h.Leaving
	switch {
	case h.InRing && !in:
		return balancer.Change{Leave: []string{h.Name}}
	case h.InRing && t.weight != h.Weight:
		return balancer.Change{Weights: map[string]int{h.Name: t.weight}}
	case in && !h.InRing:
		host := h.TableHost()
		host.Weight = t.weight
		return balancer.Change{Join: []balancer.Host{host}}
	}
	return balancer.Change{}
}

func isEmpty(c balancer.Change) bool { return len(c.Leave)+len(c.Join)+len(c.Weights) == 0 }

// confirm refuses an operator's change of a host that would move more than a share of the
// keys, limit, because the ring changes so. The caller must have the forecaster's turn,
// and keep it until the change is in force: the next one is then compared with
// the ring that this one has made. The errors are answers of the API.
func (s *Server) confirm(snap *route.Snapshot, host string, change balancer.Change, limit float64) error {
	if limit >= 1 || isEmpty(change) {
		return nil
	}
	p := s.pool(route.PoolOf(host))
	if p.Hash.Keyless() {
		return nil // there are no keys that could move
	}
	f, err := s.forecast(p, snap, change, "")
	if err != nil || !f.beyond(limit) {
		return err
	}
	return newTooMuch(host, f, limit)
}

// A tooMuch refuses a change of a host that would move more of the keys than its max_moved
// allows. It is problem details with members of its own (RFC 9457 §3.2).
type tooMuch struct {
	huma.ErrorModel
	Moved         float64 `json:"moved"`
	MaxMoved      float64 `json:"max_moved"`
	Sessions      int     `json:"sessions"`
	SessionsMoved int     `json:"sessions_moved"`
	SessionsExact bool    `json:"sessions_exact"`
}

func newTooMuch(host string, f forecast, limit float64) *tooMuch {
	t := &tooMuch{Moved: f.Moved, MaxMoved: limit, Sessions: f.impact.open, SessionsMoved: whole(f.impact.moved), SessionsExact: f.impact.exact}
	t.Status, t.Title = http.StatusConflict, http.StatusText(http.StatusConflict)
	t.Detail = fmt.Sprintf("nothing was changed: this change of %s would move %.1f %% of the tokens, and max_moved allows %.1f %%; "+
		"%d of the %d terminals that are open here would move with them when they reconnect. POST /v1/whatif says from which host to which. "+
		"To change it anyway, send it without max_moved", host, 100*t.Moved, 100*limit, t.SessionsMoved, t.Sessions)
	return t
}
