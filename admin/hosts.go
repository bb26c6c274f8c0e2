package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/pool"
)

// A hostBody is one IDE host as operators see it.
type hostBody struct {
	Name    string `json:"name"`
	ID      uint32 `json:"id"`
	Address string `json:"address" doc:"ip:port of its service, where it is asked and checked; empty as long as dns_name hasn't resolved"`
	DNSName string `json:"dns_name,omitempty" doc:"What the config file has for its address, if that is a name: it is looked up every five seconds"`
	Weight  int    `json:"weight" doc:"The one that counts: an operator's, or else the host's own"`
	Zone    string `json:"zone,omitempty"`
	Version string `json:"version,omitempty" doc:"Of the host's agent"`
	Static  bool   `json:"static" doc:"Whether it comes from the config file rather than from gossip"`
	Contact string `json:"contact" doc:"What gossip says of it: none (it is from the config file), alive, lost, or missing: it was in the ring in an earlier run of this balancer and hasn't come in this one"`

	AnnouncedWeight int       `json:"announced_weight" doc:"The host's own, from its agent or the config file"`
	WeightDecided   *wordBody `json:"weight_decided,omitempty" doc:"Missing if no operator has decided the weight"`

	State   string     `json:"state" enum:"ready,drain,maint" doc:"What operators decided"`
	Reason  string     `json:"reason,omitempty" doc:"Why they did"`
	By      string     `json:"by,omitempty" doc:"Who did"`
	Since   *time.Time `json:"since,omitempty"`
	Leaving bool       `json:"leaving" doc:"Whether it has announced that it leaves"`

	Verdict    string     `json:"verdict" doc:"What health checks say"`
	CheckError string     `json:"check_error,omitempty"`
	CheckedAt  *time.Time `json:"checked_at,omitempty"`

	Warming *warmingBody `json:"warming,omitempty" doc:"Missing unless it has come into service a short while ago and hasn't all its tokens yet"`

	InRing  bool    `json:"in_ring"`
	WhyNot  string  `json:"why_not,omitempty" doc:"Why it isn't in the ring"`
	Serving bool    `json:"serving" doc:"Whether it may get new requests now"`
	Share   float64 `json:"share" doc:"Of the ring, 0 to 1"`
	Full    bool    `json:"full" doc:"Whether it has so many of the terminals through this balancer that it gets no new tokens: see hash.bounded_load"`

	Sessions      int64  `json:"sessions" doc:"Terminals open, through this balancer"`
	InFlight      int64  `json:"in_flight" doc:"Requests under way, through this balancer"`
	Requests      uint64 `json:"requests" doc:"Since this balancer started"`
	ConnectErrors uint64 `json:"connect_errors" doc:"Since this balancer started"`
	Resets        uint64 `json:"resets" doc:"Since this balancer started"`
}

func hostOf(h *pool.Host, load pool.Load) hostBody {
	return hostBody{
		Name: h.Name, ID: h.ID, Address: h.Address, DNSName: h.DNSName, Weight: h.Weight, Zone: h.Zone, Version: h.Version,
		AnnouncedWeight: h.Announced, WeightDecided: wordOf(h.Weighed),
		Static: h.Static, Contact: h.Contact.String(),
		State: string(h.State), Reason: h.Reason, By: h.By, Since: when(h.Since), Leaving: h.Leaving,
		Verdict: h.Verdict.String(), CheckError: h.CheckError, CheckedAt: when(h.CheckedAt),
		Warming: warmingOf(h.Warming),
		InRing:  h.InRing, WhyNot: h.WhyNot, Serving: h.Serving(), Share: h.Share, Full: load.Full(),
		Sessions: h.Gauges.Sessions.Load(), InFlight: h.Gauges.InFlight.Load(), Requests: h.Gauges.Requests.Load(),
		ConnectErrors: h.Gauges.ConnectErrors.Load(), Resets: h.Gauges.Resets.Load(),
	}
}

// A warmingBody is a host's warm-up.
type warmingBody struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until" doc:"When it has all its tokens"`
	Taken float64   `json:"taken" doc:"Of its tokens, 0 to 1; the others are still where they were"`
}

// warmingOf returns nil for no warm-up.
func warmingOf(w pool.Warming) *warmingBody {
	if w == (pool.Warming{}) {
		return nil
	}
	return &warmingBody{Since: w.Since, Until: w.Until, Taken: w.Taken}
}

func hostsOf(snap *pool.Snapshot) []hostBody {
	hosts := make([]hostBody, 0, len(snap.Hosts))
	loads := snap.Loads(time.Now())
	for _, h := range snap.Hosts {
		hosts = append(hosts, hostOf(h, loads[h.Name]))
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
	out.Body.Hosts = hostsOf(s.deps.Region.Snapshot())
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
	return &hostOutput{Body: hostOf(h, snap.Loads(time.Now())[h.Name])}, nil
}

func noHost(name string) error {
	return huma.Error404NotFound(fmt.Sprintf("no host is called %q; GET /v1/hosts lists them", name))
}

type decisionInput struct {
	Name string `path:"name" maxLength:"255" doc:"The host's name"`
	Body struct {
		State  string `json:"state,omitempty" enum:"ready,drain,maint" doc:"ready: takes sessions. drain: keeps the live ones, gets no new ones. maint: gets nothing, and its live sessions end"`
		Weight weight `json:"weight,omitempty" doc:"Its share in relation to the others. 0: no keys, the live sessions stay. null: the host's own weight again"`
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"For the other operators"`
		By     string `json:"by,omitempty" maxLength:"64" doc:"Who decides; default: api or dashboard"`

		MaxMoved *float64 `json:"max_moved,omitempty" minimum:"0" maximum:"1" doc:"Refuse the decision with 409 if it would move more than this share of the tokens, 0 to 1. Default: it may move any"`
	}
}

// patchHost passes an operator's decision on, and answers with the host as it
// is with the decision in force.
func (s *Server) patchHost(ctx context.Context, in *decisionInput) (*hostOutput, error) {
	takeTime(ctx)
	d := in.decision()
	switch {
	case s.deps.Region.Snapshot().Host(in.Name) == nil:
		return nil, noHost(in.Name)
	case d.State == "" && d.Weight == nil:
		return nil, huma.Error422UnprocessableEntity("nothing is decided: the body needs a state, a weight, or both")
	}
	limit := in.limit()
	if limit < 1 {
		done, err := s.planner.wait(ctx)
		if err != nil {
			return nil, huma.Error503ServiceUnavailable("nothing was decided: " + err.Error() + ", or send the decision without max_moved, which is --yes of lb ctl")
		}
		defer done()
	}
	snap := s.deps.Region.Snapshot() // with all that has been decided while this one waited
	before := snap.Host(in.Name)
	if before == nil {
		return nil, noHost(in.Name)
	}
	if err := s.confirm(snap, before, aimOf(d, before), limit); err != nil {
		return nil, err
	}
	return s.decide(ctx, d, before)
}

// decide has d come into force, and answers with its host, which was as before
// says.
func (s *Server) decide(ctx context.Context, d pool.Decision, before *pool.Host) (*hostOutput, error) {
	d.At, d.Origin = time.Now(), s.deps.Name
	if d.By == "" {
		d.By = visitorOf(ctx).by
	}
	err := s.deps.Region.Decide(ctx, d)
	s.audit(ctx, d, before, err)
	if err != nil {
		return nil, refusal(d.Host, err)
	}
	return s.getHost(ctx, &hostInput{Name: d.Host})
}

// limit returns the share of the tokens that may move, 1 if any may.
func (in *decisionInput) limit() float64 {
	if in.Body.MaxMoved == nil {
		return 1
	}
	return *in.Body.MaxMoved
}

// decision returns what the operator has decided, without when and where.
func (in *decisionInput) decision() pool.Decision {
	return pool.Decision{
		Host: in.Name, State: pool.State(in.Body.State), Weight: in.Body.Weight.decided, Reason: in.Body.Reason, By: in.Body.By,
	}
}

func refusal(host string, err error) error {
	switch {
	case errors.Is(err, pool.ErrUnknownHost):
		return noHost(host)
	case errors.Is(err, pool.ErrDecision):
		return huma.Error422UnprocessableEntity(err.Error())
	}
	return huma.NewError(http.StatusServiceUnavailable, err.Error()) // which says how far it has come
}

// audit writes down who decided what, and whether it came into force.
func (s *Server) audit(ctx context.Context, d pool.Decision, before *pool.Host, err error) {
	line := s.deps.Logger.Info()
	if err != nil {
		line = s.deps.Logger.Error().Err(err)
	}
	line.Str("by", d.By).Str("through", visitorOf(ctx).by).Str("remote", visitorOf(ctx).remote).Str("host", d.Host)
	var what []string
	if d.State != "" {
		what = append(what, "state")
		line.Str("from", string(before.State)).Str("to", string(d.State))
	}
	if d.Weight != nil {
		what = append(what, "weight")
		line.Int("from_weight", before.Weight).Str("to_weight", weightName(*d.Weight))
	}
	line.Str("reason", d.Reason).Msg("an operator changed a host's " + strings.Join(what, " and "))
}
