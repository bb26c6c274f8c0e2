package admin

import (
	"context"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// A ringBody says how keys are placed on hosts.
type ringBody struct {
	Pool        string         `json:"pool,omitempty" doc:"The pool whose ring it is; missing for the main one"`
	Version     *uint64        `json:"version,omitempty" doc:"How many rings have been in force since this balancer started; missing with at"`
	Digest      string         `json:"digest" doc:"The same on all balancers that place every token alike"`
	BuiltAt     *time.Time     `json:"built_at,omitempty"`
	Rebuilding  bool           `json:"rebuilding" doc:"Whether the next ring is being built"`
	Policy      string         `json:"policy"`
	Parameters  map[string]any `json:"parameters" doc:"The policy's parameters, by their names in lb.yaml"`
	Key         []string       `json:"key" doc:"Where a request's token is looked for, in this order"`
	Slots       int            `json:"slots" doc:"The number of slots of the ring"`
	BoundedLoad float64        `json:"bounded_load" doc:"A host gets no new token while it has this many times its share of the terminals; 0: there is no bound"`
	SlowStart   *float64       `json:"slow_start_seconds,omitempty" doc:"How long it takes until a host that comes into service has all its tokens; 0: it has them at once. Missing with at: past.hosts has the slow starts of then"`
	Frozen      bool           `json:"frozen"`
	FrozenSince *time.Time     `json:"frozen_since,omitempty"`
	FrozenUntil *time.Time     `json:"frozen_until,omitempty" doc:"When the freeze ends by itself, at the latest"`
	Alarm       string         `json:"alarm,omitempty"`
	Shares      []shareBody    `json:"shares" doc:"The share of each host"`
	Agree       *bool          `json:"agree,omitempty" doc:"Whether all other balancers that are alive have this ring; missing with at"`
	Disagree    *time.Time     `json:"disagree_since,omitempty" doc:"Since when one of them has had another ring; missing when all agree"`
	Peers       []peerBody     `json:"peers" doc:"Empty with at: what other balancers had isn't kept"`
	Past        *pastBody      `json:"past,omitempty" doc:"With at: what else is known of that moment"`
}

// A shareBody compares the share that a host has with the fair share of its weight.
type shareBody struct {
	Host   string  `json:"host"`
	Weight int     `json:"weight"`
	Share  float64 `json:"share" doc:"Of all slots, 0 to 1"`
	Fair   float64 `json:"fair" doc:"Its weight over the sum of all weights"`
	Ratio  float64 `json:"ratio" doc:"share / fair"`
}

type ringInput struct {
	Pool string `query:"pool" maxLength:"40" doc:"The ring of this pool; missing for the main one"`
	At   string `query:"at" maxLength:"40" example:"02:30" doc:"The ring as it was at this moment of the past: a time of RFC 3339, or HH:MM or HH:MM:SS of the last 24 hours in the balancer's time zone"`
}

type ringOutput struct{ Body ringBody }

func (s *Server) getRing(_ context.Context, in *ringInput) (*ringOutput, error) {
	p, err := s.poolAsked(in.Pool)
	switch {
	case err != nil:
		return nil, err
	case in.At == "":
		return &ringOutput{Body: s.ring(p, p.Region.Snapshot())}, nil
	}
	v, snap, err := s.past(p, in.At)
	if err != nil {
		return nil, err
	}
	b := pastRing(v, snap)
	b.Pool = p.Name
	return &ringOutput{Body: b}, nil
}

// ring returns the ring of a pool as snap has it.
func (s *Server) ring(p Pool, snap *route.Snapshot) ringBody {
	b := ringBodyOf(snap, p.Hash)
	b.Pool = p.Name
	b.Version, b.SlowStart, b.Agree = new(snap.TableNumber), new(snap.SlowStart.Seconds()), new(agree(snap.Peers))
	b.Rebuilding, b.BoundedLoad = snap.Rebuilding, snap.BoundedLoad
	b.FrozenSince, b.FrozenUntil = when(snap.FrozenSince), when(snap.FrozenUntil)
	b.Alarm = snap.Alarm
	b.Disagree, b.Peers = when(snap.DisagreeSince()), peersOf(snap, s.deps.Streams())
	return b
}

// ringBodyOf returns what there is to say of the table of snap, and of its configuration.
func ringBodyOf(snap *route.Snapshot, hash balancer.Config) ringBody {
	hash = hash.WithDefaults()
	b := ringBody{
		Digest:      snap.Table.Digest(),
		BuiltAt:     when(snap.TableAt),
		Policy:      hash.Policy,
		Parameters:  hash.Parameters(),
		Key:         make([]string, 0, len(hash.Key)),
		Slots:       snap.Table.Slots(),
		BoundedLoad: hash.BoundedLoad,
		Frozen:      snap.Frozen,
		Shares:      shares(snap.Table, hash.Keyless()),
		Peers:       []peerBody{},
	}
	for _, rule := range hash.Key {
		b.Key = append(b.Key, rule.String())
	}
	return b
}

// shares returns the shares of the hosts of t: of the keys, or of requests that have none.
func shares(t *balancer.Table, keyless bool) []shareBody {
	owned, all := t.Shares(), t.FairShares()
	if keyless {
		owned = all
	}
	bodies := make([]shareBody, 0, len(owned))
	for i, h := range t.Hosts() {
		bodies = append(bodies, shareBody{Host: h.Name, Weight: h.Weight, Share: owned[i], Fair: all[i], Ratio: owned[i] / all[i]})
	}
	return bodies
}
