package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tokenring/balancer"
	"tokenring/pool"
)

const (
	planWait   = 30 * time.Second // for those who have asked before
	longAnswer = 2 * time.Minute  // for all of an answer that may need a table
)

// maxQuestions is how many what-if questions are answered or wait at a time. The
// next one is refused at once, so that decisions needn't wait behind a crowd.
const maxQuestions = 4

// A planner builds the tables of rings that might be, to be compared with the one
// in force, one after the other: with 1,000 hosts that takes a tenth of a second for
// the policy `consistent`, two or three for maglev. It has no part in the tables that
// serve users.
type planner struct {
	hash      balancer.Config
	questions chan struct{} // has room for maxQuestions
	turn      chan struct{} // has room for one, who may build
}

func newPlanner(hash balancer.Config) *planner {
	return &planner{
		hash:      hash.WithDefaults(),
		questions: make(chan struct{}, maxQuestions),
		turn:      make(chan struct{}, 1),
	}
}

// errBusy is the error of those whose turn doesn't come.
var errBusy = errors.New("other rings are being computed; try again in a moment")

// ask waits for a question's turn to build. The caller ends it with done.
func (p *planner) ask(ctx context.Context) (done func(), err error) {
	select {
	case p.questions <- struct{}{}:
	default:
		return nil, errBusy
	}
	end, err := p.wait(ctx)
	if err != nil {
		<-p.questions
		return nil, err
	}
	return func() { end(); <-p.questions }, nil
}

// wait waits for the caller's turn to build, but not for ever. The caller ends it
// with done. ctx ends the waiting, but not a build.
func (p *planner) wait(ctx context.Context) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, planWait)
	defer cancel()
	select {
	case p.turn <- struct{}{}:
		return func() { <-p.turn }, nil
	case <-ctx.Done():
		return nil, errBusy
	}
}

// build returns the table of hosts by a policy, "" for the one in force. It must
// be the caller's turn.
func (p *planner) build(policy string, hosts []balancer.Host) (*balancer.Table, error) {
	hash := p.hash
	hash.Policy = cmp.Or(policy, hash.Policy)
	forecaster, err := balancer.NewForecaster(hash)
	if err != nil {
		return nil, err
	}
	return forecaster.Build(hosts)
}

// A plan is a change of the ring, and what it would do.
type plan struct {
	balancer.Movement
	before, after *balancer.Table
	shift         shift
}

// plan says what would happen if change were made to the hosts now in the ring,
// and they were placed by policy, "" for the one in force. It compares with the
// table that serves now, which may lag behind the ring. It must be the caller's
// turn, until the plan isn't needed any more. Errors are answers.
func (s *Server) plan(snap *pool.Snapshot, change balancer.Change, policy string) (plan, error) {
	hosts, err := change.Apply(ringOf(snap))
	if err != nil {
		return plan{}, huma.Error422UnprocessableEntity(err.Error())
	}
	after, err := s.planner.build(policy, hosts)
	if err != nil {
		return plan{}, huma.Error422UnprocessableEntity("the ring can't be like that: " + err.Error())
	}
	hashed := snap.Table // by which the live keys are
	if len(hashed.Hosts()) == 0 && after.Policy() == s.planner.hash.Policy {
		hashed = after // tables of one Config hash alike
	}
	return plan{
		Movement: balancer.Compare(snap.Table, after),
		before:   snap.Table,
		after:    after,
		shift:    shiftOf(s.deps.Live(), hashed, snap.Table, after),
	}, nil
}

// ringOf returns the hosts that are in the ring.
func ringOf(snap *pool.Snapshot) []balancer.Host {
	var hosts []balancer.Host
	for _, h := range snap.Hosts {
		if h.InRing {
			hosts = append(hosts, balancer.Host{Name: h.Name, ID: h.ID, Weight: h.Weight})
		}
	}
	return hosts
}

// beyond reports whether a plan moves more than a share of the keys. A limit of
// 1 is none, whatever sums of fractions come to.
func (p plan) beyond(limit float64) bool { return limit < 1 && p.Moved > limit }

type controllerKey struct{}

// patient makes op one whose handler may call takeTime.
func patient(op huma.Operation) huma.Operation {
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		_, w := humago.Unwrap(ctx)
		next(huma.WithValue(ctx, controllerKey{}, http.NewResponseController(w)))
	})
	return op
}

// takeTime gives the answer to the request of ctx more time than others have.
// It is called when the request's body has been read: the deadline for that would
// end ctx.
func takeTime(ctx context.Context) {
	if out, ok := ctx.Value(controllerKey{}).(*http.ResponseController); ok {
		// The recorders of tests support neither, and have no deadlines.
		_ = out.SetReadDeadline(time.Time{})
		_ = out.SetWriteDeadline(time.Now().Add(longAnswer))
	}
}
