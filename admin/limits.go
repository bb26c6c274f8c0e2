package admin

import (
	"context"
	"time"
)

// Limits are what one source and one key may use, and who has met that.
type Limits struct {
	PerSource *Quota     `json:"per_source,omitempty" doc:"What one source may use: an IPv4 address, or a /64 of IPv6; missing if that has no limits"`
	PerKey    *Quota     `json:"per_key,omitempty" doc:"What one key may use; missing if that has no limits"`
	MostKnown int        `json:"most_known" doc:"How many sources, and how many keys, are known at most; those that have used least are forgotten first"`
	Top       []Offender `json:"top" doc:"Who has met a limit in the last ten minutes, the most refusals first; 50 at most"`
}

// A Quota is what one source or key may use. What is missing has no limit.
type Quota struct {
	Connections    int    `json:"connections,omitempty" doc:"Open connections, terminals included"`
	NewConnections string `json:"new_connections,omitempty" doc:"A rate, such as 50/s"`
	Requests       string `json:"requests,omitempty" doc:"A rate, such as 200/s"`
	Terminals      int    `json:"terminals,omitempty" doc:"Open terminals"`
	Burst          string `json:"burst" doc:"What the rates allow in this time may come at once"`
	Known          int    `json:"known" doc:"How many sources or keys have used something that counts now"`
}

// An Offender is a source or a key that has met a limit.
type Offender struct {
	Source  string    `json:"source,omitempty" doc:"The network that counts as one source"`
	Key     string    `json:"key,omitempty" doc:"The digest of the key, as in the access log"`
	Limit   string    `json:"limit" doc:"The limit, as below limits in lb.yaml"`
	Refused uint32    `json:"refused" doc:"How many connections or requests were refused, since there was none for ten minutes"`
	Last    time.Time `json:"last" doc:"When it met one of its limits last"`
}

type limitsOutput struct{ Body Limits }

// listLimits tells the limits of this process, and who has met them.
func (s *Server) listLimits(context.Context, *struct{}) (*limitsOutput, error) {
	all := s.deps.Limits()
	all.Top = append([]Offender{}, all.Top...)
	return &limitsOutput{all}, nil
}
