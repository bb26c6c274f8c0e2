package admin

import (
	"context"
	"time"

	"tokenring/route"
	"tokenring/stream"
)

// A statusBody is the state of the balancer and its region.
type statusBody struct {
	Name          string            `json:"name" doc:"This balancer's name among the balancers"`
	Version       string            `json:"version"`
	StartedAt     time.Time         `json:"started_at" doc:"When this balancer started; a reload or an upgrade is no start"`
	UptimeSeconds int64             `json:"uptime_seconds"`
	Ready         bool              `json:"ready" doc:"Whether this balancer takes traffic"`
	NotReady      string            `json:"not_ready,omitempty" doc:"Why it takes no traffic"`
	Hosts         hostCounts        `json:"hosts"`
	Sessions      int64             `json:"sessions" doc:"Terminals open through this balancer"`
	AtPeers       int               `json:"sessions_at_peers" doc:"Terminals open through the other balancers, as far as these have told"`
	InFlight      int64             `json:"in_flight" doc:"Requests in progress through this balancer"`
	RingVersion   uint64            `json:"ring_version" doc:"How many rings have been in force since this balancer started"`
	RingDigest    string            `json:"ring_digest" doc:"The same on all balancers that place every token alike"`
	Frozen        bool              `json:"frozen" doc:"Whether the ring is frozen because many hosts vanished at once: their tokens get 503"`
	FrozenSince   *time.Time        `json:"frozen_since,omitempty"`
	FrozenUntil   *time.Time        `json:"frozen_until,omitempty" doc:"When the freeze ends by itself, at the latest"`
	Alarm         string            `json:"alarm,omitempty" doc:"What is wrong with the ring, and what to do"`
	Alarms        []string          `json:"alarms" doc:"All that needs an operator, one sentence each: the ring's alarm, certificates that can't be used or end soon, and files that can't be used"`
	Waiting       *waitingBody      `json:"waiting,omitempty" doc:"Which changes of the ring wait because balancers are missing; missing if none does"`
	Agree         bool              `json:"agree" doc:"Whether all other balancers that are alive have this ring"`
	Disagree      *time.Time        `json:"disagree_since,omitempty" doc:"Since when one of them has had another ring; missing when all agree"`
	Peers         []peerBody        `json:"peers"`
	ConfirmShare  float64           `json:"confirm_share" doc:"An operator must confirm an override that moves more than this share of the tokens; 1: none"`
	Certificates  []certificateBody `json:"certificates"`
}

// hostCounts counts the hosts by state, by their checks and so on.
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
	Name    string      `json:"name"`
	Address string      `json:"address"`
	Version string      `json:"version"`
	Alive   bool        `json:"alive"`
	Digest  string      `json:"ring_digest"`
	Agrees  bool        `json:"agrees" doc:"Whether it has the same ring as this balancer"`
	Since   *time.Time  `json:"since,omitempty"`
	Stream  *streamBody `json:"stream,omitempty" doc:"The streams to and from it, on which balancers tell each other their sessions; missing if it accepts none"`
}

type streamBody struct {
	Up    bool       `json:"up" doc:"Whether it knows all sessions of this balancer, and this balancer all of its"`
	Since *time.Time `json:"since,omitempty"`
	RTT   float64    `json:"rtt_ms" doc:"0 if it isn't known"`
	Why   string     `json:"why_not,omitempty"`
}

type certificateBody struct {
	Names    []string   `json:"names"`
	NotAfter *time.Time `json:"not_after,omitempty" doc:"Missing: there is no certificate for these names yet"`
	File     string     `json:"file"`
	Problem  string     `json:"problem,omitempty" doc:"Why the newest certificate isn't used"`
}

type statusOutput struct{ Body statusBody }

func (s *Server) getStatus(context.Context, *struct{}) (*statusOutput, error) {
	return &statusOutput{Body: s.status(s.deps.Region.Snapshot())}, nil
}

// status returns a summary of snap.
func (s *Server) status(snap *route.Snapshot) statusBody {
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
		Waiting:       waitingOf(snap.Waiting),
		Peers:         peersOf(snap, s.deps.Streams()),
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
		b.AtPeers += s.deps.AtPeers(h.Name)
		b.InFlight += h.Gauges.InFlight.Load()
	}
	for _, t := range s.elsewhere.hosts() {
		b.InFlight += t.inFlight
	}
	return b
}

func countHosts(hosts []*route.Host) hostCounts {
	c := hostCounts{Total: len(hosts)}
	for _, h := range hosts {
		countIf(&c.Ready, h.State == route.Ready)
		countIf(&c.Drain, h.State == route.Drain)
		countIf(&c.Maint, h.State == route.Maint)
		countIf(&c.Leaving, h.Leaving)
		countIf(&c.Up, h.Verdict == route.Up)
		countIf(&c.Down, h.Verdict == route.Down)
		countIf(&c.Serving, h.Serving())
	}
	return c
}

func countIf(n *int, counts bool) {
	if counts {
		*n++
	}
}

// agree reports whether all peers that are alive have this balancer's ring.
func agree(peers []route.Peer) bool {
	for _, p := range peers {
		if p.Alive && !p.Agrees {
			return false
		}
	}
	return true
}

// peersOf returns the peers with the streams to them.
func peersOf(snap *route.Snapshot, streams []stream.PeerStatus) []peerBody {
	peers := make([]peerBody, 0, len(snap.Peers)) // [] rather than null in JSON
	for _, p := range snap.Peers {
		peers = append(peers, peerBody{
			Name: p.Name, Address: p.Address, Version: p.Version,
			Alive: p.Alive, Digest: p.Digest, Agrees: p.Agrees, Since: when(p.Since), Stream: streamOf(p.Name, streams),
		})
	}
	return peers
}

// streamOf returns the streams to and from a peer.
func streamOf(peer string, all []stream.PeerStatus) *streamBody {
	for _, s := range all {
		if s.Name == peer {
			return &streamBody{Up: s.Up && s.Heard, Since: when(s.Since), RTT: float64(s.RTT.Microseconds()) / 1000, Why: s.Err}
		}
	}
	return nil
}

// alarms lists all that needs an operator. It is [] rather than null in JSON.
func (s *Server) alarms(snap *route.Snapshot) []string {
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
	return append(all, s.deps.Problems()...)
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
