package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/balancer"
	"tokenring/route"
)

// registerHostEdits adds the operations by which operators add, change and remove hosts.
func (s *Server) registerHostEdits(api huma.API) {
	failures := []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	huma.Register(api, withLongDeadline(operation(http.MethodPost, "/v1/hosts",
		"Add a host to this balancer; it is kept in state_dir", failures...)), s.addHost)
	failures = append(failures, http.StatusNotFound)
	huma.Register(api, withLongDeadline(operation(http.MethodPut, "/v1/hosts/{name}",
		"Change a host that an operator has added. What is left out stays as it is", failures...)), s.setHost)
	huma.Register(api, withLongDeadline(operation(http.MethodDelete, "/v1/hosts/{name}",
		"Remove a host that an operator has added. It leaves: its keys go to other hosts, its live sessions stay", failures...)), s.removeHost)
}

// HostFields are what an operator can say of a host in the body of a request. They are
// exported because huma reads only exported fields.
type HostFields struct {
	Weight *int    `json:"weight,omitempty" minimum:"0" maximum:"256" doc:"In relation to the weights of the other hosts; 0: the host gets no keys. Of a new host 1, if left out"`
	ID     *uint32 `json:"id,omitempty" doc:"The number by which the policy haproxy places it"`
	Zone   *string `json:"zone,omitempty" maxLength:"64"`
	Reason string  `json:"reason,omitempty" maxLength:"200" doc:"For the other operators"`
	By     string  `json:"by,omitempty" maxLength:"64" doc:"The operator's name; default: api or dashboard"`

	MaxMoved *float64 `json:"max_moved,omitempty" minimum:"0" maximum:"1" doc:"Refuse it with 409 if it would move more than this share of the tokens, 0 to 1. Default: no limit"`
}

func (f HostFields) edit(action route.HostAction, name, address string) route.HostEdit {
	return route.HostEdit{Action: action, Name: name, Address: address, Weight: f.Weight, ID: f.ID, Zone: f.Zone, Reason: f.Reason, By: f.By}
}

type addHostInput struct {
	Body struct {
		Name    string `json:"name" maxLength:"64"`
		Address string `json:"address" maxLength:"128" doc:"host:port of its service; a DNS name must be the name of one machine"`
		HostFields
	}
}

func (s *Server) addHost(ctx context.Context, in *addHostInput) (*hostOutput, error) {
	return s.editHosts(ctx, in.Body.edit(route.AddHost, in.Body.Name, in.Body.Address), in.Body.MaxMoved)
}

type setHostInput struct {
	Name string `path:"name" maxLength:"255" doc:"The host's name"`
	Body struct {
		Address string `json:"address,omitempty" maxLength:"128" doc:"host:port of its service. Another address is another machine: terminals on the one before end"`
		HostFields
	}
}

func (s *Server) setHost(ctx context.Context, in *setHostInput) (*hostOutput, error) {
	return s.editHosts(ctx, in.Body.edit(route.SetHost, in.Name, in.Body.Address), in.Body.MaxMoved)
}

type removeHostInput struct {
	Name   string `path:"name" maxLength:"255" doc:"The host's name"`
	Reason string `query:"reason" maxLength:"200" doc:"For the other operators"`
	By     string `query:"by" maxLength:"64" doc:"The operator's name; default: api or dashboard"`

	MaxMoved float64 `query:"max_moved" minimum:"0" maximum:"1" default:"1" doc:"Refuse it with 409 if it would move more than this share of the tokens, 0 to 1. Default: no limit"`
}

func (s *Server) removeHost(ctx context.Context, in *removeHostInput) (*hostOutput, error) {
	e := route.HostEdit{Action: route.RemoveHost, Name: in.Name, Reason: in.Reason, By: in.By}
	return s.editHosts(ctx, e, &in.MaxMoved)
}

// editHosts passes a change of the hosts on. It answers with the host as it is when that is
// in force.
func (s *Server) editHosts(ctx context.Context, e route.HostEdit, maxMoved *float64) (*hostOutput, error) {
	extendDeadline(ctx)
	if e.By == "" {
		e.By = callerOf(ctx).by
	}
	if err := e.Check(); err != nil {
		return nil, huma.Error422UnprocessableEntity("nothing was changed: " + err.Error())
	}
	limit := limitOf(maxMoved)
	done, err := s.turnFor(ctx, limit)
	if err != nil {
		return nil, err
	}
	defer done()
	snap := s.pool(route.PoolOf(e.Name)).Region.Snapshot()
	before := snap.Host(e.Name)
	if err := s.confirm(snap, e.Name, s.changeBy(e, before), limit); err != nil {
		return nil, err
	}
	err = s.deps.Region.EditHosts(ctx, e)
	s.auditHostEdit(ctx, e, before, err)
	switch {
	case errors.Is(err, route.ErrHostEdit):
		return nil, huma.Error409Conflict(err.Error())
	case err != nil:
		return nil, refusal(e.Name, err)
	}
	return s.getHost(ctx, &hostInput{Name: e.Name})
}

// changeBy returns how the ring changes with e. before is the host without e, nil if there is
// none. The result is empty if the ring stays the same, or if e will be refused. A host that
// comes counts as if it served at once, one that is replaced as if it left.
func (s *Server) changeBy(e route.HostEdit, before *route.Host) balancer.Change {
	mine := before != nil && before.Origin == route.OriginOperator && !before.Leaving
	switch {
	case e.Action == route.AddHost && (before == nil || before.Leaving):
		if host := e.Of(route.Spec{}).TableHost(); host.Weight > 0 {
			return balancer.Change{Join: []balancer.Host{host}}
		}
	case e.Action == route.RemoveHost && mine && before.InRing:
		return balancer.Change{Leave: []string{e.Name}}
	case e.Action == route.SetHost && mine && before.InRing && s.replaces(e, before):
		return balancer.Change{Leave: []string{e.Name}} // all its keys have another machine, or other keys come
	case e.Action == route.SetHost && mine && e.Weight != nil && before.WeightOverride == (route.Attribution{}):
		return target{state: before.State, weight: *e.Weight}.change(before)
	}
	return balancer.Change{}
}

// replaces reports whether e gives a host another machine, or another place in the ring.
func (s *Server) replaces(e route.HostEdit, before *route.Host) bool {
	moves := e.Address != "" && e.Address != cmp.Or(before.DNSName, before.Address)
	return moves || e.ID != nil && *e.ID != before.ID && s.deps.Hash.Policy == balancer.PolicyHAProxy
}

// auditHostEdit logs which operator has changed which host, and how it was before. err says
// why the change isn't in force.
func (s *Server) auditHostEdit(ctx context.Context, e route.HostEdit, before *route.Host, err error) {
	line := s.deps.Logger.Info()
	if err != nil {
		line = s.deps.Logger.Error().Err(err)
	}
	line.Str("by", e.By).Str("through", callerOf(ctx).by).Str("remote", callerOf(ctx).remote).Str("host", e.Name).Str("action", string(e.Action))
	if before != nil {
		line.Str("from_address", before.Address).Int("from_weight", before.Announced)
	}
	if e.Address != "" {
		line.Str("to_address", e.Address)
	}
	if e.Weight != nil {
		line.Int("to_weight", *e.Weight)
	}
	if e.ID != nil {
		line.Uint32("to_id", *e.ID)
	}
	if e.Zone != nil {
		line.Str("to_zone", *e.Zone)
	}
	line.Str("reason", e.Reason).Msg("an operator changed the list of hosts")
}
