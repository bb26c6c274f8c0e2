package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/maintenance"
	"tokenring/session"
)

// Maintenance is how operators begin and end maintenance. Its funcs are safe for concurrent use.
type Maintenance struct {
	Active func() []maintenance.Switch
	// Set returns when the word is in force and on disk here. Its error is ErrNoSuchRoute if
	// it names a route that there isn't.
	Set func(context.Context, maintenance.Switch) (MaintenanceSet, error)
}

// ErrNoSuchRoute is the error for a route that isn't configured.
var ErrNoSuchRoute = errors.New("there is no route")

// A MaintenanceSet says which balancers know of a change.
type MaintenanceSet struct {
	By      []string          // the balancers on which it is in force, this one first
	Missing []session.Missing // connected balancers that haven't answered
}

type maintenanceOutput struct{ Body maintenanceBody }

type maintenanceBody struct {
	Maintenance []maintenance.Switch `json:"maintenance" doc:"What gets the maintenance page; all requests have no route"`
}

type setMaintenanceInput struct {
	Body struct {
		On     bool   `json:"on" doc:"Whether requests get the maintenance page"`
		Route  string `json:"route,omitempty" maxLength:"256" doc:"The route; default: all requests"`
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"For the other operators"`
		By     string `json:"by,omitempty" maxLength:"64" doc:"The operator's name; default: api or dashboard"`
	}
}

type setMaintenanceOutput struct{ Body setMaintenanceBody }

type setMaintenanceBody struct {
	maintenanceBody
	By      []string      `json:"by" doc:"The balancers on which the change is in force"`
	Missing []missingBody `json:"missing" doc:"Connected balancers that haven't answered; they learn of it when they can"`
}

// registerMaintenance adds the operations about maintenance.
func (s *Server) registerMaintenance(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/v1/maintenance", "List what is in maintenance"), s.getMaintenance)
	huma.Register(api, withLongDeadline(operation(http.MethodPut, "/v1/maintenance", "Begin or end maintenance: new requests get a page, and live terminals stay",
		http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)), s.setMaintenance)
}

func (s *Server) activeMaintenance() maintenanceBody {
	return maintenanceBody{append([]maintenance.Switch{}, s.deps.Maintenance.Active()...)}
}

func (s *Server) getMaintenance(context.Context, *struct{}) (*maintenanceOutput, error) {
	return &maintenanceOutput{s.activeMaintenance()}, nil
}

// setMaintenance begins or ends maintenance, and logs who has said so.
func (s *Server) setMaintenance(ctx context.Context, in *setMaintenanceInput) (*setMaintenanceOutput, error) {
	extendDeadline(ctx)
	one := maintenance.Switch{Route: in.Body.Route, On: in.Body.On, Reason: in.Body.Reason, By: cmp.Or(in.Body.By, callerOf(ctx).by)}
	done, err := s.deps.Maintenance.Set(context.WithoutCancel(ctx), one)
	line := s.deps.Logger.Info()
	if err != nil {
		line = s.deps.Logger.Error().Err(err)
	}
	line.Str("by", one.By).Str("through", callerOf(ctx).by).Str("remote", callerOf(ctx).remote).Bool("on", one.On).Str("route", one.Route).
		Str("reason", one.Reason).Strs("balancers", done.By).Msg("an operator changed what is in maintenance")
	switch {
	case errors.Is(err, ErrNoSuchRoute):
		return nil, huma.Error404NotFound(err.Error())
	case err != nil:
		return nil, huma.NewError(http.StatusServiceUnavailable, err.Error())
	}
	return &setMaintenanceOutput{setMaintenanceBody{s.activeMaintenance(), done.By, missingOf(done.Missing)}}, nil
}
