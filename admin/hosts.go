package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/pool"
)

// A hostBody is one IDE host as operators see it.
type hostBody struct {
	Name    string `json:"name"`
	ID      uint32 `json:"id"`
	Address string `json:"address"`
	Weight  int    `json:"weight"`
	Zone    string `json:"zone,omitempty"`
	Version string `json:"version,omitempty" doc:"Of the host's agent"`
	Static  bool   `json:"static" doc:"Whether it comes from the config file rather than from gossip"`
	Contact string `json:"contact" doc:"What gossip says of it"`

	State   string     `json:"state" enum:"ready,drain,maint" doc:"What operators decided"`
	Reason  string     `json:"reason,omitempty" doc:"Why they did"`
	By      string     `json:"by,omitempty" doc:"Who did"`
	Since   *time.Time `json:"since,omitempty"`
	Leaving bool       `json:"leaving" doc:"Whether it has announced that it leaves"`

	Verdict    string     `json:"verdict" doc:"What health checks say"`
	CheckError string     `json:"check_error,omitempty"`
	CheckedAt  *time.Time `json:"checked_at,omitempty"`

	InRing  bool    `json:"in_ring"`
	WhyNot  string  `json:"why_not,omitempty" doc:"Why it isn't in the ring"`
	Serving bool    `json:"serving" doc:"Whether it may get new requests now"`
	Share   float64 `json:"share" doc:"Of the ring, 0 to 1"`

	Sessions      int64  `json:"sessions" doc:"Terminals open, through this balancer"`
	InFlight      int64  `json:"in_flight" doc:"Requests under way, through this balancer"`
	Requests      uint64 `json:"requests" doc:"Since this balancer started"`
	ConnectErrors uint64 `json:"connect_errors" doc:"Since this balancer started"`
	Resets        uint64 `json:"resets" doc:"Since this balancer started"`
}

func hostOf(h *pool.Host) hostBody {
	return hostBody{
		Name: h.Name, ID: h.ID, Address: h.Address, Weight: h.Weight, Zone: h.Zone, Version: h.Version,
		Static: h.Static, Contact: h.Contact.String(),
		State: string(h.State), Reason: h.Reason, By: h.By, Since: when(h.Since), Leaving: h.Leaving,
		Verdict: h.Verdict.String(), CheckError: h.CheckError, CheckedAt: when(h.CheckedAt),
		InRing: h.InRing, WhyNot: h.WhyNot, Serving: h.Serving(), Share: h.Share,
		Sessions: h.Gauges.Sessions.Load(), InFlight: h.Gauges.InFlight.Load(), Requests: h.Gauges.Requests.Load(),
		ConnectErrors: h.Gauges.ConnectErrors.Load(), Resets: h.Gauges.Resets.Load(),
	}
}

func hostsOf(snap *pool.Snapshot) []hostBody {
	hosts := make([]hostBody, 0, len(snap.Hosts))
	for _, h := range snap.Hosts {
		hosts = append(hosts, hostOf(h))
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
	h := s.deps.Region.Snapshot().Host(in.Name)
	if h == nil {
		return nil, noHost(in.Name)
	}
	return &hostOutput{Body: hostOf(h)}, nil
}

func noHost(name string) error {
	return huma.Error404NotFound(fmt.Sprintf("no host is called %q; GET /v1/hosts lists them", name))
}

type decisionInput struct {
	Name string `path:"name" maxLength:"255" doc:"The host's name"`
	Body struct {
		State  string `json:"state" enum:"ready,drain,maint" doc:"ready: takes sessions. drain: keeps the live ones, gets no new ones. maint: gets nothing, and its live sessions end"`
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"For the other operators"`
		By     string `json:"by,omitempty" maxLength:"64" doc:"Who decides; default: api or dashboard"`
	}
}

// patchHost passes an operator's decision on, and answers with the host as it
// is with the decision in force.
func (s *Server) patchHost(ctx context.Context, in *decisionInput) (*hostOutput, error) {
	before := s.deps.Region.Snapshot().Host(in.Name)
	if before == nil {
		return nil, noHost(in.Name)
	}
	by := in.Body.By
	if by == "" {
		by = visitorOf(ctx).by
	}
	err := s.deps.Region.Decide(ctx, pool.Decision{
		Host: in.Name, State: pool.State(in.Body.State), Reason: in.Body.Reason, By: by, At: time.Now(), Origin: s.deps.Name,
	})
	s.audit(ctx, in, by, before.State, err)
	if err != nil {
		return nil, refusal(in.Name, err)
	}
	return s.getHost(ctx, &hostInput{Name: in.Name})
}

func refusal(host string, err error) error {
	if errors.Is(err, pool.ErrUnknownHost) {
		return noHost(host)
	}
	return huma.NewError(http.StatusServiceUnavailable, "the decision isn't in force: "+err.Error())
}

// audit writes down who decided what, and whether it came into force.
func (s *Server) audit(ctx context.Context, in *decisionInput, by string, from pool.State, err error) {
	line := s.deps.Logger.Info()
	if err != nil {
		line = s.deps.Logger.Error().Err(err)
	}
	line.Str("by", by).Str("through", visitorOf(ctx).by).Str("remote", visitorOf(ctx).remote).
		Str("host", in.Name).Str("from", string(from)).Str("to", in.Body.State).Str("reason", in.Body.Reason).
		Msg("an operator changed a host's state")
}
