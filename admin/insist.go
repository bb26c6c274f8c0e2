package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tokenring/route"
	"tokenring/session"
)

// Insist has this balancer, and all that it is connected to, make the changes of the ring that
// wait for peers: for those of the names, or for all that are missing. The error is
// route.ErrNothingWaits if none of them is waited for. It is safe for concurrent use.
type Insist func(ctx context.Context, peers []string) (Insisted, error)

// Insisted says what an Insist has done.
type Insisted struct {
	Peers   []string          // for which changes wait no longer
	By      []string          // the balancers that go on without them, this one first
	Missing []session.Missing // connected balancers that haven't answered
}

// A waitingBody says which changes of the ring wait because balancers are missing.
type waitingBody struct {
	For     []string  `json:"for" doc:"The balancers that are missing"`
	Since   time.Time `json:"since" doc:"Since when the first of them has been missing"`
	Until   time.Time `json:"until" doc:"When the changes wait no longer"`
	Changes []string  `json:"changes" doc:"What waits, in words"`
}

// waitingOf returns nil if nothing waits.
func waitingOf(w route.Waiting) *waitingBody {
	if len(w.Changes) == 0 {
		return nil
	}
	return &waitingBody{For: w.For, Since: w.Since.UTC(), Until: w.Until.UTC(), Changes: w.Changes}
}

type insistInput struct {
	Body struct {
		Peers  []string `json:"peers,omitempty" maxItems:"256" doc:"The balancers to go on without; default: all that are missing"`
		Reason string   `json:"reason,omitempty" maxLength:"200" doc:"For the log"`
		By     string   `json:"by,omitempty" maxLength:"64" doc:"The operator's name; default: api or dashboard"`
	}
}

type insistOutput struct{ Body insistBody }

type insistBody struct {
	Peers   []string      `json:"peers" doc:"The balancers for which changes of the ring wait no longer, until they are back"`
	Changes []string      `json:"changes" doc:"What has waited, in words"`
	By      []string      `json:"by" doc:"The balancers that go on without them"`
	Missing []missingBody `json:"missing" doc:"Connected balancers that haven't answered, and may wait still"`
}

// insist goes on without balancers that are missing.
func (s *Server) insist(ctx context.Context, in *insistInput) (*insistOutput, error) {
	extendDeadline(ctx)
	w := s.deps.Region.Snapshot().Waiting
	if len(w.Changes) == 0 {
		return nil, huma.Error409Conflict("nothing was changed: no change of the ring waits for a balancer")
	}
	done, err := s.deps.Insist(context.WithoutCancel(ctx), in.Body.Peers)
	by := cmp.Or(in.Body.By, callerOf(ctx).by)
	line := s.deps.Logger.Info()
	if err != nil {
		line = s.deps.Logger.Error().Err(err)
	}
	line.Str("by", by).Str("through", callerOf(ctx).by).Str("remote", callerOf(ctx).remote).Strs("asked", in.Body.Peers).Strs("balancers", done.Peers).
		Strs("changes", w.Changes).Str("reason", in.Body.Reason).Msg("an operator insisted on changes of the ring")
	switch {
	case errors.Is(err, route.ErrNothingWaits):
		return nil, huma.Error409Conflict(fmt.Sprintf("nothing was changed: changes of the ring wait for %s, and for none of %s",
			strings.Join(w.For, ", "), strings.Join(in.Body.Peers, ", ")))
	case err != nil:
		return nil, huma.NewError(http.StatusServiceUnavailable, err.Error())
	}
	return &insistOutput{insistBody{Peers: done.Peers, Changes: w.Changes, By: done.By, Missing: missingOf(done.Missing)}}, nil
}
