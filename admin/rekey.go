package admin

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/route"
)

type rekeyInput struct {
	Name string `path:"name" maxLength:"255" doc:"The host's name"`
	Body struct {
		Key    string `json:"key,omitempty" maxLength:"64" doc:"The host's public key from now on, in base64; its agent logs it. Default: the one other key with which the host was announced in the last minutes"`
		Forget bool   `json:"forget,omitempty" doc:"Forget the key: the next one with which the host is announced is its key, and until then it need not sign"`
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"For the other operators"`
		By     string `json:"by,omitempty" maxLength:"64" doc:"The operator's name; default: api or dashboard"`
	}
}

type rekeyOutput struct{ Body rekeyBody }

// A rekeyBody is the key by which balancers know a host from now on.
type rekeyBody struct {
	Name        string `json:"name"`
	Key         string `json:"key" doc:"In base64; empty if the next one is to be learned"`
	Fingerprint string `json:"fingerprint" doc:"The short name of the key in logs and alarms"`
}

// rekey passes on what an operator says of a host's key. It answers when that is in force
// and on disk.
func (s *Server) rekey(ctx context.Context, in *rekeyInput) (*rekeyOutput, error) {
	extendDeadline(ctx)
	r := route.Rekey{Host: in.Name, Forget: in.Body.Forget, Reason: in.Body.Reason, By: in.Body.By}
	if r.By == "" {
		r.By = callerOf(ctx).by
	}
	if in.Body.Key != "" {
		var err error
		if r.Key, err = route.ParseHostKey(in.Body.Key); err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error())
		}
	}
	if err := r.Check(); err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	key, err := s.deps.Region.Rekey(ctx, r)
	s.auditRekey(ctx, r, key, err)
	switch {
	case errors.Is(err, route.ErrRekey):
		return nil, huma.Error409Conflict(err.Error())
	case err != nil:
		return nil, refusal(in.Name, err)
	}
	return &rekeyOutput{rekeyBody{Name: in.Name, Key: key.String(), Fingerprint: key.Fingerprint()}}, nil
}

// auditRekey logs who has said what of a host's key. err says why it isn't in force.
func (s *Server) auditRekey(ctx context.Context, r route.Rekey, key route.HostKey, err error) {
	line := s.deps.Logger.Info()
	if err != nil {
		line = s.deps.Logger.Error().Err(err)
	}
	line.Str("by", r.By).Str("through", callerOf(ctx).by).Str("remote", callerOf(ctx).remote).Str("host", r.Host).
		Str("key", key.Fingerprint()).Bool("forget", r.Forget).Str("reason", r.Reason).Msg("an operator changed a host's key")
}
