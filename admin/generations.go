package admin

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/handover"
)

// Generations are the processes of a balancer: see package parent. Its methods are safe for
// concurrent use.
type Generations interface {
	// Change starts a generation, and returns when it serves in place of this process. An
	// error is a *handover.Failure if nothing was changed.
	Change(ctx context.Context, c handover.Change) (handover.Result, error)
	List(ctx context.Context) ([]handover.Generation, error)
}

// changeAnswer bounds the answer to a change: a new generation has up to ten minutes to start.
const changeAnswer = 12 * time.Minute

// errOneProcess is the answer of a balancer that has no generations.
const errOneProcess = "this balancer runs as one process (lb run --foreground, or lb demo), which can't be replaced: restart it"

type reloadInput struct {
	Body struct {
		Yes bool `json:"yes,omitempty" doc:"Also if it moves more of the tokens than admin.confirm_share"`
	}
}

type upgradeInput struct {
	Body struct {
		Binary string `json:"binary,omitempty" maxLength:"4096" doc:"The path of the program on the balancer's machine; default: the file from which lb run was started"`
		Yes    bool   `json:"yes,omitempty" doc:"Also if it moves more of the tokens than admin.confirm_share"`
	}
}

type changeOutput struct{ Body handover.Result }

// reload has the configuration of now take effect. It answers when the new generation serves.
func (s *Server) reload(ctx context.Context, in *reloadInput) (*changeOutput, error) {
	return s.change(ctx, handover.Change{Yes: in.Body.Yes})
}

// upgrade has another program take effect.
func (s *Server) upgrade(ctx context.Context, in *upgradeInput) (*changeOutput, error) {
	return s.change(ctx, handover.Change{Upgrade: true, Binary: in.Body.Binary, Yes: in.Body.Yes})
}

// change makes a change. It goes on if the operator leaves, and also when this process retires,
// which is what it brings about.
func (s *Server) change(ctx context.Context, c handover.Change) (*changeOutput, error) {
	if s.deps.Generations == nil {
		return nil, huma.Error409Conflict(errOneProcess)
	}
	extendDeadlineBy(ctx, changeAnswer)
	s.changing.RLock()
	defer s.changing.RUnlock()
	result, err := s.deps.Generations.Change(context.WithoutCancel(ctx), c)
	line := s.deps.Logger.Info()
	if err != nil {
		line = s.deps.Logger.Error().Err(err)
	}
	line.Str("through", callerOf(ctx).by).Str("remote", callerOf(ctx).remote).Bool("upgrade", c.Upgrade).Str("binary", c.Binary).
		Bool("yes", c.Yes).Msg("an operator asked for a new generation")
	var f *handover.Failure
	switch {
	case errors.As(err, &f):
		return nil, huma.NewError(f.HTTPStatus(), f.Detail)
	case err != nil:
		return nil, huma.Error502BadGateway(err.Error())
	}
	return &changeOutput{result}, nil
}

type generationsOutput struct{ Body generationsBody }

type generationsBody struct {
	Generations []handover.Generation `json:"generations" doc:"Oldest first; empty if the balancer runs as one process"`
}

// listGenerations lists the living generations.
func (s *Server) listGenerations(ctx context.Context, _ *struct{}) (*generationsOutput, error) {
	body := generationsBody{Generations: []handover.Generation{}}
	if s.deps.Generations == nil {
		return &generationsOutput{body}, nil
	}
	all, err := s.deps.Generations.List(ctx)
	if err != nil {
		return nil, huma.Error503ServiceUnavailable("the parent doesn't say which generations there are: " + err.Error())
	}
	body.Generations = append(body.Generations, all...)
	return &generationsOutput{body}, nil
}
