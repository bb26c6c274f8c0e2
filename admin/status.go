package admin

import (
	"context"
	"time"

	"tokenring/pool"
)

// A statusBody is the answer to "how is it?".
type statusBody struct {
	Name          string            `json:"name" doc:"This balancer's name among the balancers"`
	Version       string            `json:"version"`
	StartedAt     time.Time         `json:"started_at"`
	UptimeSeconds int64             `json:"uptime_seconds"`
	Ready         bool              `json:"ready" doc:"Whether this balancer takes traffic"`
	NotReady      string            `json:"not_ready,omitempty" doc:"Why it doesn't"`
	Hosts         hostCounts        `json:"hosts"`
	Sessions      int64             `json:"sessions" doc:"Terminals open through this balancer"`
	InFlight      int64             `json:"in_flight" doc:"Requests under way through this balancer"`
	RingVersion   uint64            `json:"ring_version" doc:"Counts the rings that have been in force since this balancer started"`
	RingDigest    string            `json:"ring_digest" doc:"The same on all balancers that place every token alike"`
	Frozen        bool              `json:"frozen" doc:"Whether the ring is frozen because many hosts vanished at once: their tokens get 503"`
	FrozenSince   *time.Time        `json:"frozen_since,omitempty"`
	FrozenUntil   *time.Time        `json:"frozen_until,omitempty" doc:"When the freeze ends by itself, at the latest"`
	Alarm         string            `json:"alarm,omitempty" doc:"What an operator should look at, and what to do"`
	Alarms        []string          `json:"alarms" doc:"All that somebody has to see to, a sentence each: the ring's alarm, and certificates that can't be used or end soon"`
	Agree         bool              `json:"agree" doc:"Whether all other balancers that are alive have this ring"`
	Disagree      *time.Time        `json:"disagree_since,omitempty" doc:"Since when one of them has had another; missing when all agree"`
	Peers         []peerBody        `json:"peers"`
	ConfirmShare  float64           `json:"confirm_share" doc:"What moves more than this share of the tokens is to be confirmed by an operator; 1: nothing is"`
	Certificates  []certificateBody `json:"certificates"`
}

// hostCounts counts the hosts, by state and otherwise.
type hostCounts struct {
	Total   int `json:"total"`
	Ready   int `json:"ready"`
	Drain   int `json:"drain"`
	Maint   int `json:"maint"`
	Leaving int `json:"leaving" doc:"Hosts that have announced that they leave"`
	Up      int `json:"up" doc:"Hosts whose checks pass"`
	Down    int `json:"down" doc:"Hosts whose checks fail"`
	Serving int `json:"serving" doc:"Hosts that may get new requests now"`
}

// A peerBody is another balancer.
type peerBody struct {
	Name    string     `json:"name"`
	Address string     `json:"address"`
	Version string     `json:"version"`
	Alive   bool       `json:"alive"`
	Digest  string     `json:"ring_digest"`
	Agrees  bool       `json:"agrees" doc:"Whether it has the same ring as this balancer"`
	Since   *time.Time `json:"since,omitempty"`
}

type certificateBody struct {
	Names    []string   `json:"names"`
	NotAfter *time.Time `json:"not_after,omitempty" doc:"Missing: there is no certificate for these names yet"`
	File     string     `json:"file"`
	Problem  string     `json:"problem,omitempty" doc:"Why the newest certificate isn't in use"`
}

type statusOutput struct{ Body statusBody }

func (s *Server) getStatus(context.Context, *struct{}) (*statusOutput, error) {
	return &statusOutput{Body: s.status(s.deps.Region.Snapshot())}, nil
}

// status sums snap up.
func (s *Server) status(snap *pool.Snapshot) statusBody {
	b := statusBody{
		Name:          s.deps.Name,
		Version:       s.deps.Version,
		StartedAt:     s.started,
		UptimeSeconds: int64(time.Since(s.started).Seconds()),
		Ready:         true,
		Hosts:         countHosts(snap.Hosts),
		RingVersion:   snap.TableNumber,
		RingDigest:    snap.Table.Digest(),
		Frozen:        snap.Frozen,
		FrozenSince:   when(snap.FrozenSince),
		FrozenUntil:   when(snap.FrozenUntil),
		Alarm:         snap.Alarm,
		Alarms:        s.alarms(snap),
		Peers:         peersOf(snap),
		Agree:         agree(snap.Peers),
		Disagree:      when(snap.DisagreeSince()),
		ConfirmShare:  s.deps.ConfirmShare,
		Certificates:  s.certificates(),
	}
	if err := s.deps.Ready(); err != nil {
		b.Ready, b.NotReady = false, err.Error()
	}
	for _, h := range snap.Hosts {
		b.Sessions += h.Gauges.Sessions.Load()
		b.InFlight += h.Gauges.InFlight.Load()
	}
	return b
}

func countHosts(hosts []*pool.Host) hostCounts {
	c := hostCounts{Total: len(hosts)}
	for _, h := range hosts {
		tally(&c.Ready, h.State == pool.Ready)
		tally(&c.Drain, h.State == pool.Drain)
		tally(&c.Maint, h.State == pool.Maint)
		tally(&c.Leaving, h.Leaving)
		tally(&c.Up, h.Verdict == pool.Up)
		tally(&c.Down, h.Verdict == pool.Down)
		tally(&c.Serving, h.Serving())
	}
	return c
}

func tally(n *int, counts bool) {
	if counts {
		*n++
	}
}

// agree reports whether all peers that are alive have our ring.
func agree(peers []pool.Peer) bool {
	for _, p := range peers {
		if p.Alive && !p.Agrees {
			return false
		}
	}
	return true
}

func peersOf(snap *pool.Snapshot) []peerBody {
	peers := make([]peerBody, 0, len(snap.Peers)) // [] rather than null in JSON
	for _, p := range snap.Peers {
		peers = append(peers, peerBody{
			Name: p.Name, Address: p.Address, Version: p.Version,
			Alive: p.Alive, Digest: p.Digest, Agrees: p.Agrees, Since: when(p.Since),
		})
	}
	return peers
}

// alarms lists what somebody has to see to. It is [] rather than null in JSON.
func (s *Server) alarms(snap *pool.Snapshot) []string {
	all := []string{}
	if snap.Alarm != "" {
		all = append(all, snap.Alarm)
	}
	now := time.Now()
	for _, e := range s.deps.Certificates() {
		if alarm := e.Alarm(now); alarm != "" {
			all = append(all, alarm)
		}
	}
	return all
}

func (s *Server) certificates() []certificateBody {
	certs := []certificateBody{}
	for _, e := range s.deps.Certificates() {
		certs = append(certs, certificateBody{
			Names: append([]string{}, e.Names...), NotAfter: when(e.NotAfter), File: e.File, Problem: e.Problem,
		})
	}
	return certs
}
