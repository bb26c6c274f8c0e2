package admin

import (
	"tokenring/balancer"
	"tokenring/route"
	"tokenring/session"
)

// An Impact is what another ring means for users.
type Impact struct {
	Moved         float64 `json:"moved" doc:"The share of the tokens that get another host, 0 to 1"`
	Sessions      int     `json:"sessions" doc:"Terminals that are open here"`
	SessionsMoved int     `json:"sessions_moved" doc:"Terminals that move when they reconnect"`
	SessionsExact bool    `json:"sessions_exact" doc:"Whether that number is exact, not an expectation"`
	// Pools are those of the other pools whose tokens move, by name.
	Pools map[string]Impact `json:"pools,omitempty" doc:"The same for the pools beside the main one whose tokens move, by name"`
}

// ImpactOf returns what it means for users if the table of s is replaced by after. live are the
// sessions that there are.
func ImpactOf(s *route.Snapshot, live []session.Session, after *balancer.Table) Impact {
	movement := balancer.Compare(s.Table, after)
	i := impactOf(live, s.Table, s.Table, after)
	return Impact{Moved: movement.Moved, Sessions: i.open, SessionsMoved: whole(i.moved), SessionsExact: i.exact}
}
