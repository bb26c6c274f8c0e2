package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tokenring/balancer"
	"tokenring/route"
)

const (
	forecastWait = 30 * time.Second // for the forecasts that come first
	longAnswer   = 2 * time.Minute  // for an answer that may need a table
)

// maxQuestions is how many what-if questions may wait or be answered at a time. A
// further question is refused at once, so that overrides don't wait for many questions.
const maxQuestions = 4

// A forecaster builds tables for forecasts, one after the other. With 1,000 hosts a
// table takes a tenth of a second with the policy consistent, two or three seconds
// with maglev. It doesn't build the tables that serve users.
type forecaster struct {
	questions chan struct{} // capacity maxQuestions
	turn      chan struct{} // capacity 1: the caller that may build
}

func newForecaster() *forecaster {
	return &forecaster{
		questions: make(chan struct{}, maxQuestions),
		turn:      make(chan struct{}, 1),
	}
}

// errBusy is the error of a caller that doesn't get the turn in time.
var errBusy = errors.New("other forecasts of the ring are being computed; try again in a moment")

// ask waits for the turn to build, for a question. The caller gives the turn back with
// done. The error is errBusy.
func (f *forecaster) ask(ctx context.Context) (done func(), err error) {
	select {
	case f.questions <- struct{}{}:
	default:
		return nil, errBusy
	}
	end, err := f.wait(ctx)
	if err != nil {
		<-f.questions
		return nil, err
	}
	return func() { end(); <-f.questions }, nil
}

// wait waits for the turn to build, forecastWait at the longest. The caller gives the
// turn back with done. The error is errBusy. ctx ends the wait, but not a build.
func (f *forecaster) wait(ctx context.Context) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, forecastWait)
	defer cancel()
	select {
	case f.turn <- struct{}{}:
		return func() { <-f.turn }, nil
	case <-ctx.Done():
		return nil, errBusy
	}
}

// build returns the table of hosts by a policy, "" for the policy in force. The caller
// must have the turn.
func (f *forecaster) build(hash balancer.Config, policy string, hosts []balancer.Host) (*balancer.Table, error) {
	hash = hash.WithDefaults()
	hash.Policy = cmp.Or(policy, hash.Policy)
	forecaster, err := balancer.NewForecaster(hash)
	if err != nil {
		return nil, err
	}
	return forecaster.Build(hosts)
}

// A forecast is a change of the ring, and what it would do.
type forecast struct {
	balancer.Movement
	before, after *balancer.Table
	impact        impact
}

// forecast returns what would happen if change were made to the hosts in the ring, and
// the policy were another ("" for the policy in force). It compares with the table
// that serves now, which may be older than the ring. The caller must have the turn, and
// keep it as long as it uses the forecast. The errors are answers of the API.
func (s *Server) forecast(p Pool, snap *route.Snapshot, change balancer.Change, policy string) (forecast, error) {
	hosts, err := change.Apply(ringOf(snap))
	if err != nil {
		return forecast{}, huma.Error422UnprocessableEntity(err.Error())
	}
	hosts = withBackups(snap, hosts)
	after, err := s.forecaster.build(p.Hash, policy, hosts)
	if err != nil {
		return forecast{}, huma.Error422UnprocessableEntity("there can't be such a ring: " + err.Error())
	}
	hashed := snap.Table // the hashes of live keys are this table's
	if len(hashed.Hosts()) == 0 && after.Policy() == p.Hash.WithDefaults().Policy {
		hashed = after // tables of one Config hash alike
	}
	return forecast{
		Movement: balancer.Compare(snap.Table, after),
		before:   snap.Table,
		after:    after,
		impact:   impactOf(s.liveIn(p.Name), hashed, snap.Table, after),
	}, nil
}

// withBackups returns hosts of a ring that is to be, with the backups that it will have: all of
// them, or none while another host serves. Hosts that come are taken to serve.
func withBackups(snap *route.Snapshot, hosts []balancer.Host) []balancer.Host {
	if snap.Frozen {
		return hosts
	}
	backup := func(b balancer.Host) bool { h := snap.Host(b.Name); return h != nil && h.Backup }
	serves := slices.ContainsFunc(hosts, func(b balancer.Host) bool {
		h := snap.Host(b.Name)
		return h == nil || !h.Backup && (!h.InRing || h.Verdict != route.Down || h.Held)
	})
	if serves {
		return slices.DeleteFunc(slices.Clone(hosts), backup)
	}
	all := slices.Clone(hosts)
	for _, h := range snap.Hosts {
		if h.WhyNot == route.WhyBackup && route.IndexOf(all, h.Name) < 0 {
			all = append(all, h.TableHost())
		}
	}
	slices.SortFunc(all, func(a, b balancer.Host) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// ringOf returns the hosts that are in the ring.
func ringOf(snap *route.Snapshot) []balancer.Host {
	var hosts []balancer.Host
	for _, h := range snap.Hosts {
		if h.InRing {
			hosts = append(hosts, h.TableHost())
		}
	}
	return hosts
}

// beyond reports whether a forecast moves more than a share of the keys. A limit of 1
// is no limit, even if the sum of fractions is a little more than 1.
func (f forecast) beyond(limit float64) bool { return limit < 1 && f.Moved > limit }

type controllerKey struct{}

// withLongDeadline returns op with what its handler needs to call extendDeadline.
func withLongDeadline(op huma.Operation) huma.Operation {
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		_, w := humago.Unwrap(ctx)
		next(huma.WithValue(ctx, controllerKey{}, http.NewResponseController(w)))
	})
	return op
}

// extendDeadline gives the answer to the request of ctx more time than other answers
// have. It is called when the request's body has been read, because the deadline for
// reading would end ctx.
func extendDeadline(ctx context.Context) { extendDeadlineBy(ctx, longAnswer) }

func extendDeadlineBy(ctx context.Context, limit time.Duration) {
	if out, ok := ctx.Value(controllerKey{}).(*http.ResponseController); ok {
		// The recorders of tests support neither, and have no deadlines.
		_ = out.SetReadDeadline(time.Time{})
		_ = out.SetWriteDeadline(time.Now().Add(limit))
	}
}
