package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/route"
)

type overrideInput struct {
	Name string `path:"name" maxLength:"255" doc:"The host's name"`
	Body struct {
		State    string `json:"state,omitempty" enum:"ready,drain,maint" doc:"ready: the host takes sessions. drain: it keeps its live sessions and gets no new ones. maint: it gets nothing, and its live sessions end"`
		Deadline string `json:"deadline,omitempty" maxLength:"32" doc:"With the state drain: after which time live sessions are closed: 2h, for example, 720h at most. Default: they stay until they end"`
		Rate     int    `json:"rate,omitempty" minimum:"1" maximum:"10000" doc:"With a deadline: how many terminals all balancers together close in a second then, those first that were idle the longest. Default 20"`
		Weight   weight `json:"weight,omitempty" doc:"The host's share in relation to the other hosts. 0: it gets no keys, its live sessions stay. null: the host's own weight again"`
		Reason   string `json:"reason,omitempty" maxLength:"200" doc:"For the other operators"`
		By       string `json:"by,omitempty" maxLength:"64" doc:"The operator's name; default: api or dashboard"`

		MaxMoved *float64 `json:"max_moved,omitempty" minimum:"0" maximum:"1" doc:"Refuse the override with 409 if it would move more than this share of the tokens, 0 to 1. Default: no limit"`
	}
}

// patchHost passes an operator's override on. It answers with the host as it is
// when the override is in force.
func (s *Server) patchHost(ctx context.Context, in *overrideInput) (*hostOutput, error) {
	extendDeadline(ctx)
	o, err := in.override(time.Now())
	switch {
	case err != nil:
		return nil, huma.Error422UnprocessableEntity(err.Error())
	case s.deps.Region.Snapshot().Host(in.Name) == nil:
		return nil, noHost(in.Name)
	case o.State == "" && o.Weight == nil:
		return nil, huma.Error422UnprocessableEntity("nothing would change: the body needs a state, a weight, or both")
	}
	limit := limitOf(in.Body.MaxMoved)
	done, err := s.turnFor(ctx, limit)
	if err != nil {
		return nil, err
	}
	defer done()
	snap := s.pool(route.PoolOf(in.Name)).Region.Snapshot() // with all overrides that came into force during the wait
	before := snap.Host(in.Name)
	if before == nil {
		return nil, noHost(in.Name)
	}
	to := targetOf(o, before)
	if err := s.confirm(snap, in.Name, to.change(before), limit); err != nil {
		return nil, err
	}
	if err := s.enoughServes(snap, in.Name, to, in.Body.MaxMoved == nil); err != nil {
		return nil, err
	}
	return s.override(ctx, o, before)
}

// override puts o in force and answers with its host. before is the host without o.
func (s *Server) override(ctx context.Context, o route.Override, before *route.Host) (*hostOutput, error) {
	if o.By == "" {
		o.By = callerOf(ctx).by
	}
	err := s.deps.Region.Override(ctx, o)
	s.audit(ctx, o, before, err)
	if err != nil {
		return nil, refusal(o.Host, err)
	}
	return s.getHost(ctx, &hostInput{Name: o.Host})
}

// limitOf returns the largest share of the tokens that may move; 1 is no limit.
func limitOf(maxMoved *float64) float64 {
	if maxMoved == nil {
		return 1
	}
	return *maxMoved
}

// turnFor waits for the forecaster's turn if a change has a limit of what may move. The
// caller gives the turn back with done. The error is an answer of the API.
func (s *Server) turnFor(ctx context.Context, limit float64) (done func(), _ error) {
	if limit >= 1 {
		return func() {}, nil
	}
	done, err := s.forecaster.wait(ctx)
	if err != nil {
		return nil, huma.Error503ServiceUnavailable("nothing was changed: " + err.Error() + ", or send this without max_moved (lb ctl: --yes)")
	}
	return done, nil
}

// override returns the override that the body describes, without time and origin.
func (in *overrideInput) override(now time.Time) (route.Override, error) {
	o := route.Override{
		Host: in.Name, State: route.State(in.Body.State), Weight: in.Body.Weight.override, Reason: in.Body.Reason, By: in.Body.By,
		Drain: route.DrainEnd{Rate: in.Body.Rate},
	}
	if text := in.Body.Deadline; text != "" {
		after, err := time.ParseDuration(text)
		if err != nil || after < 0 || after > route.MaxDrain {
			return o, fmt.Errorf("deadline: %.32q is no time from now such as 2h or 30m, %v at most", text, route.MaxDrain)
		}
		o.Drain.Deadline = now.Add(after + time.Second - 1).UTC().Truncate(time.Second) // never before the time that was asked for
	}
	if o.Drain != (route.DrainEnd{}) && o.State != route.Drain {
		return o, errors.New("deadline and rate belong to the state drain")
	}
	return o, o.Drain.Check()
}

func refusal(host string, err error) error {
	switch {
	case errors.Is(err, route.ErrUnknownHost):
		return noHost(host)
	case errors.Is(err, route.ErrOverride):
		return huma.Error422UnprocessableEntity(err.Error())
	}
	return huma.NewError(http.StatusServiceUnavailable, err.Error()) // the text says what has been done so far
}

// audit logs an override with the operator and the host as it was before. err says
// why the override isn't in force.
func (s *Server) audit(ctx context.Context, o route.Override, before *route.Host, err error) {
	line := s.deps.Logger.Info()
	if err != nil {
		line = s.deps.Logger.Error().Err(err)
	}
	line.Str("by", o.By).Str("through", callerOf(ctx).by).Str("remote", callerOf(ctx).remote).Str("host", o.Host)
	var what []string
	if o.State != "" {
		what = append(what, "state")
		line.Str("from", string(before.State)).Str("to", string(o.State))
	}
	if o.Weight != nil {
		what = append(what, "weight")
		line.Int("from_weight", before.Weight).Str("to_weight", weightName(*o.Weight))
	}
	line.Str("reason", o.Reason).Msg("an operator changed a host's " + strings.Join(what, " and "))
}

// A weight is the member "weight" of a change to a host. As in RFC 7396, null
// removes an operator's weight, and a missing member changes nothing. The zero value
// is a missing member.
type weight struct {
	override *int // as in route.Override
}

// UnmarshalJSON implements json.Unmarshaler.
func (w *weight) UnmarshalJSON(text []byte) error {
	w.override = new(route.OwnWeight)
	if string(text) == "null" {
		return nil
	}
	var number float64 // 3.0 is an integer, too
	err := json.Unmarshal(text, &number)
	*w.override = int(number)
	return err
}

// Schema implements huma.SchemaProvider. huma checks a number against it before
// UnmarshalJSON is called.
func (weight) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Minimum: new(0.0), Maximum: new(256.0), Nullable: true}
}

// weightName returns the text of an override's weight for a log.
func weightName(weight int) string {
	if weight == route.OwnWeight {
		return "own"
	}
	return strconv.Itoa(weight)
}

// An overrideBody says which operator set a value, why and when.
type overrideBody struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// overrideOf returns the body of w, nil if w is zero: no operator set the value.
func overrideOf(w route.Attribution) *overrideBody {
	if w == (route.Attribution{}) {
		return nil
	}
	return &overrideBody{By: w.By, Reason: w.Reason, Since: w.Since}
}
