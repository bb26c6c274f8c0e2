package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/route"
)

// A hostBody is an IDE host in the API.
type hostBody struct {
	Name     string        `json:"name"`
	ID       uint32        `json:"id"`
	Address  string        `json:"address" doc:"ip:port of its service, for requests and checks; empty as long as dns_name hasn't resolved"`
	DNSName  string        `json:"dns_name,omitempty" doc:"The name that its list has as its address; it is looked up every five seconds"`
	Weight   int           `json:"weight" doc:"The weight in force: an operator's, or else the host's own"`
	Zone     string        `json:"zone,omitempty"`
	Version  string        `json:"version,omitempty" doc:"Of the host's agent"`
	Origin   string        `json:"origin" enum:"gossip,operator,file,config" doc:"How this balancer knows of it: config (pool.hosts), file (pool.hosts_file), operator, or gossip. If there are several, config counts before file, operator and gossip"`
	ListedBy *overrideBody `json:"listed_by,omitempty" doc:"Which operator has added it, or changed it last, and why; missing unless its origin is operator"`
	Static   bool          `json:"static" doc:"Whether it is listed rather than known from gossip"`
	Key      string        `json:"key,omitempty" doc:"The public key with which it has signed what it announces, in base64; missing if it doesn't sign"`
	Contact  string        `json:"contact" doc:"What gossip says about it: none (it is listed), alive, lost, or missing (it was in the ring in the last run of this balancer, and hasn't come since it started)"`

	AnnouncedWeight int           `json:"announced_weight" doc:"The host's own weight, from its agent or its list"`
	WeightOverride  *overrideBody `json:"weight_decided,omitempty" doc:"Which operator set the weight, and why; missing if none did"`

	State   string     `json:"state" enum:"ready,drain,maint" doc:"The state that operators have set, or drain because the host itself says that it drains"`
	Reason  string     `json:"reason,omitempty" doc:"Why an operator set it"`
	By      string     `json:"by,omitempty" doc:"Which operator set it; the host itself, if it says that it drains"`
	Since   *time.Time `json:"since,omitempty"`
	Drain   *drainBody `json:"drain,omitempty" doc:"How its drain ends; missing unless it is in drain and has a deadline"`
	Leaving bool       `json:"leaving" doc:"Whether it has announced that it leaves"`

	Verdict     string     `json:"verdict" doc:"What health checks say, by the votes of all balancers"`
	CheckError  string     `json:"check_error,omitempty"`
	CheckedAt   *time.Time `json:"checked_at,omitempty"`
	ReturnsAt   *time.Time `json:"returns_at,omitempty" doc:"It was down, and passes its checks: when it gets its tokens back, if no check fails. Missing unless it is so"`
	SteadySince *time.Time `json:"steady_since,omitempty" doc:"With returns_at: since when its checks have passed without a failure; missing if the last one has failed"`

	Votes *votesBody `json:"votes,omitempty" doc:"What the checks of all balancers say of it; missing if no other balancer says anything"`

	SlowStart *slowStartBody `json:"slow_start,omitempty" doc:"Missing unless it came into service a short while ago and doesn't have all its tokens yet"`

	InRing  bool    `json:"in_ring"`
	WhyNot  string  `json:"why_not,omitempty" doc:"Why it isn't in the ring"`
	Backup  bool    `json:"backup,omitempty" doc:"Whether it is a backup: it is in the ring only while no other host of its pool serves"`
	Waits   string  `json:"waits,omitempty" doc:"What waits of it because balancers are missing, in words: see /v1/insist"`
	Serving bool    `json:"serving" doc:"Whether it may get new requests now"`
	Share   float64 `json:"share" doc:"Of the ring, 0 to 1"`
	Full    bool    `json:"full" doc:"Whether so many of the terminals through all balancers are on it that it gets no new tokens: see hash.bounded_load"`

	Sessions       int64  `json:"sessions" doc:"Terminals open, through this balancer"`
	AtPeers        int    `json:"sessions_at_peers" doc:"Terminals open, through other balancers, as far as they have told"`
	InFlight       int64  `json:"in_flight" doc:"Requests in progress, through this balancer"`
	Queued         int64  `json:"queued" doc:"Requests that wait, because as many as it may have are in progress"`
	MaxConnections int    `json:"max_connections,omitempty" doc:"How many requests may be in progress through this balancer; missing for any number"`
	Requests       uint64 `json:"requests" doc:"Since this balancer started; a reload or an upgrade doesn't begin anew"`
	ConnectErrors  uint64 `json:"connect_errors" doc:"Since this balancer started"`
	Resets         uint64 `json:"resets" doc:"Since this balancer started"`
}

// A drainBody says how a drain ends.
type drainBody struct {
	Deadline time.Time `json:"deadline" doc:"Until when sessions stay"`
	Rate     int       `json:"rate" doc:"How many terminals all balancers together close in a second then"`
	Closing  bool      `json:"closing" doc:"Whether the deadline has passed"`
}

// drainOf returns how the drain of h ends, nil if it has no deadline.
func drainOf(h *route.Host, now time.Time) *drainBody {
	if h.State != route.Drain || h.DrainEnd.Deadline.IsZero() {
		return nil
	}
	return &drainBody{Deadline: h.DrainEnd.Deadline, Rate: h.DrainEnd.PerSecond(), Closing: h.DrainEnd.Over(now)}
}

// setBy returns who has set the state of h, "" if nobody has.
func setBy(h *route.Host) string {
	if h.DrainsItself() {
		return "the host itself"
	}
	return h.StateOverride.By
}

func (s *Server) hostOf(h *route.Host, load route.Load, elsewhere hostTotals) hostBody {
	return hostBody{
		Name: h.Name, ID: h.ID, Address: h.Address, DNSName: h.DNSName, Weight: h.Weight, Zone: h.Zone, Version: h.Version,
		AnnouncedWeight: h.Announced, WeightOverride: overrideOf(h.WeightOverride),
		Origin: h.Origin.String(), ListedBy: overrideOf(h.ListedBy), Static: h.Origin != route.OriginGossip, Key: h.Key.String(), Contact: h.Contact.String(),
		State: string(h.State), Reason: h.StateOverride.Reason, By: setBy(h), Since: when(h.StateOverride.Since), Leaving: h.Leaving, Drain: drainOf(h, time.Now()),
		Verdict: h.Verdict.String(), CheckError: h.CheckError, CheckedAt: when(h.CheckedAt),
		ReturnsAt: when(h.Return.At), SteadySince: when(h.Return.Since),
		Votes:     votesOf(h),
		SlowStart: slowStartOf(h.SlowStart),
		InRing:    h.InRing, WhyNot: h.WhyNot, Backup: h.Backup, Serving: h.Serving(), Share: h.Share, Full: load.Full(),
		Sessions: h.Gauges.Sessions.Load(), AtPeers: s.deps.AtPeers(h.Name), InFlight: h.Gauges.InFlight.Load() + elsewhere.inFlight, Requests: h.Gauges.Requests.Load() + elsewhere.requests,
		Queued: h.Gauges.Queued.Load(), MaxConnections: h.MaxConnections,
		ConnectErrors: h.Gauges.ConnectErrors.Load() + elsewhere.connectErrors, Resets: h.Gauges.Resets.Load() + elsewhere.resets,
	}
}

// A votesBody is what the checks of all balancers say of a host.
type votesBody struct {
	Here   string   `json:"here" enum:"unchecked,up,down" doc:"What the checks of this balancer say"`
	UpAt   []string `json:"up_at" doc:"The other balancers whose checks pass"`
	DownAt []string `json:"down_at" doc:"The other balancers whose checks fail"`
	Works  bool     `json:"terminals_work" doc:"Whether it is down and still sends bytes to terminals, whose tokens stay there"`
	Held   bool     `json:"held" doc:"Whether its tokens get 503 here, because it can't be reached from here and too few balancers say that it is down, or because its gate may not have closed its terminals yet"`
	Text   string   `json:"text" doc:"The same in words"`
}

// votesOf returns nil if no other balancer says anything of h, and it isn't held.
func votesOf(h *route.Host) *votesBody {
	if h.Views == (route.Views{}) && !h.Held && !h.Sends() {
		return nil
	}
	b := &votesBody{Here: h.Own.String(), UpAt: route.Names(h.Views.Up), DownAt: route.Names(h.Views.Down), Works: h.Sends(), Held: h.Held, Text: h.Views.Text(h.Own)}
	switch {
	case h.AwaitsGate:
		b.Text += ": held until its gate has closed its terminals, its tokens get 503 here"
	case h.Held:
		b.Text += ": held, its tokens get 503 here"
	}
	if h.Sends() {
		b.Text += ": its terminals still work, and keep their tokens"
	}
	return b
}

// A slowStartBody is a host's slow start.
type slowStartBody struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until" doc:"When it has all its tokens"`
	Taken float64   `json:"taken" doc:"The share of its tokens that it has, 0 to 1; the others are still where they were"`
}

// slowStartOf returns nil if the host has all its tokens.
func slowStartOf(w route.Progress) *slowStartBody {
	if w == (route.Progress{}) {
		return nil
	}
	return &slowStartBody{Since: w.Since, Until: w.Until, Taken: w.Taken}
}

func (s *Server) hosts(snap *route.Snapshot) []hostBody {
	hosts := make([]hostBody, 0, len(snap.Hosts))
	loads, elsewhere := snap.Loads(time.Now()), s.elsewhere.hosts()
	for _, h := range snap.Hosts {
		b := s.hostOf(h, loads[h.Name], elsewhere[h.Name])
		b.Waits = snap.Waiting.Of(h.Name)
		hosts = append(hosts, b)
	}
	return hosts
}

type hostsOutput struct {
	Body struct {
		Hosts []hostBody `json:"hosts" doc:"Sorted by name"`
	}
}

func (s *Server) listHosts(context.Context, *struct{}) (*hostsOutput, error) {
	out := new(hostsOutput)
	out.Body.Hosts = s.hosts(s.deps.Region.Snapshot())
	return out, nil
}

type hostInput struct {
	Name string `path:"name" maxLength:"255" doc:"The host's name"`
}

type hostOutput struct{ Body hostBody }

func (s *Server) getHost(_ context.Context, in *hostInput) (*hostOutput, error) {
	snap := s.deps.Region.Snapshot()
	h := snap.Host(in.Name)
	if h == nil {
		return nil, noHost(in.Name)
	}
	return &hostOutput{Body: s.host(h, snap)}, nil
}

func (s *Server) host(h *route.Host, snap *route.Snapshot) hostBody {
	b := s.hostOf(h, snap.Loads(time.Now())[h.Name], s.elsewhere.hosts()[h.Name])
	b.Waits = snap.Waiting.Of(h.Name)
	return b
}

func noHost(name string) error {
	return huma.Error404NotFound(fmt.Sprintf("no host is called %q; GET /v1/hosts lists them", name))
}
