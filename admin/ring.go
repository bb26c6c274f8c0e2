package admin

import (
	"context"
	"time"

	"tokenring/balancer"
	"tokenring/pool"
)

// A ringBody is how the keys are placed on hosts.
type ringBody struct {
	Version     uint64         `json:"version" doc:"Counts the rings that have been in force since this balancer started"`
	Digest      string         `json:"digest" doc:"The same on all balancers that place every token alike"`
	BuiltAt     *time.Time     `json:"built_at,omitempty"`
	Rebuilding  bool           `json:"rebuilding" doc:"Whether the next ring is being built"`
	Policy      string         `json:"policy"`
	Parameters  map[string]any `json:"parameters" doc:"Of the policy, by their names in lb.yaml"`
	Key         []string       `json:"key" doc:"Where a request's token is looked for, in this order"`
	Slots       int            `json:"slots" doc:"Pieces that the ring is cut into"`
	BoundedLoad float64        `json:"bounded_load" doc:"How many times its share of the terminals a host may have when it gets a new token; 0 for no bound"`
	SlowStart   float64        `json:"slow_start_seconds" doc:"How long a host that comes into service takes until it has all its tokens; 0: it has them at once"`
	Frozen      bool           `json:"frozen"`
	FrozenSince *time.Time     `json:"frozen_since,omitempty"`
	FrozenUntil *time.Time     `json:"frozen_until,omitempty" doc:"When the freeze ends by itself, at the latest"`
	Alarm       string         `json:"alarm,omitempty"`
	Shares      []shareBody    `json:"shares" doc:"What each host owns"`
	Agree       bool           `json:"agree" doc:"Whether all other balancers that are alive have this ring"`
	Disagree    *time.Time     `json:"disagree_since,omitempty" doc:"Since when one of them has had another; missing when all agree"`
	Peers       []peerBody     `json:"peers"`
}

// A shareBody compares what a host owns with what its weight says it should.
type shareBody struct {
	Host   string  `json:"host"`
	Weight int     `json:"weight"`
	Share  float64 `json:"share" doc:"Of all slots, 0 to 1"`
	Fair   float64 `json:"fair" doc:"Its weight over the sum of all weights"`
	Ratio  float64 `json:"ratio" doc:"share / fair"`
}

type ringOutput struct{ Body ringBody }

func (s *Server) getRing(context.Context, *struct{}) (*ringOutput, error) {
	return &ringOutput{Body: s.ring(s.deps.Region.Snapshot())}, nil
}

func (s *Server) ring(snap *pool.Snapshot) ringBody {
	hash := s.deps.Hash.WithDefaults()
	b := ringBody{
		Version:     snap.TableNumber,
		Digest:      snap.Table.Digest(),
		BuiltAt:     when(snap.TableAt),
		Rebuilding:  snap.Rebuilding,
		Policy:      hash.Policy,
		Parameters:  hash.Parameters(),
		Key:         make([]string, 0, len(hash.Key)),
		Slots:       snap.Table.Slots(),
		BoundedLoad: snap.BoundedLoad,
		SlowStart:   snap.SlowStart.Seconds(),
		Frozen:      snap.Frozen,
		FrozenSince: when(snap.FrozenSince),
		FrozenUntil: when(snap.FrozenUntil),
		Alarm:       snap.Alarm,
		Shares:      shares(snap.Table),
		Agree:       agree(snap.Peers),
		Disagree:    when(snap.DisagreeSince()),
		Peers:       peersOf(snap),
	}
	for _, rule := range hash.Key {
		b.Key = append(b.Key, rule.String())
	}
	return b
}

func shares(t *balancer.Table) []shareBody {
	total := 0
	for _, h := range t.Hosts() {
		total += h.Weight
	}
	owned := t.Shares()
	bodies := make([]shareBody, 0, len(owned))
	for i, h := range t.Hosts() {
		fair := float64(h.Weight) / float64(total)
		bodies = append(bodies, shareBody{Host: h.Name, Weight: h.Weight, Share: owned[i], Fair: fair, Ratio: owned[i] / fair})
	}
	return bodies
}
