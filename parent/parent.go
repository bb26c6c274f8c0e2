// Package parent is the process that lives as long as the service. It owns the listening
// sockets and starts the generations of a balancer, which are processes that serve on
// copies of these sockets.
//
//	             ┌── control socket ◀── lb ctl
//	parent ──────┤
//	   │ starts  └── listening sockets ──copies──▶ every generation
//	   ├──▶ generation 1   old: carries its terminals
//	   ├──▶ generation 2   old
//	   └──▶ generation 3   serves, decides, gossips
//
// A change of the configuration or of the program is a new generation. Until it could
// serve, nothing changes. Then the one before retires, and carries what it has, for as
// long as that lasts. If the generation that serves crashes, another one is started from
// what was in force; connections wait in the queues of the listening sockets meanwhile.
//
// The parent has no keys and reads nothing that a client has sent.
package parent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/handover"
	"tokenring/systemd"
)

// Options are what a Parent needs.
type Options struct {
	Program        string            // the path of the program
	Arguments      []string          // of a generation, after the name of the program
	Check          []string          // arguments with which a new program checks the configuration, and then exits
	Socket         string            // the path of the control socket, in a directory that the first generation makes
	Ready          time.Duration     // how long the first generation may take until it could serve
	Notifier       *systemd.Notifier // may be nil
	Logger         zerolog.Logger
	Output, Errors *os.File       // where generations write the access log and everything else
	Reopen         func() error   // opens the files of this process's own log anew; may be nil
	Signals        chan os.Signal // gets the signals of signal.Notify that Run is about
	Left           *Takeover      // from TakenOver: what the program before has left; nil if there was none
}

// An ExitError says with which code the program is to exit. What has failed is told already.
type ExitError struct{ Code int }

func (e ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// errStopping is the error of a change while the service stops.
var errStopping = errors.New("the service stops")

// ErrStopped says that a signal has ended it before it served.
var ErrStopped = errors.New("stopped before it served")

// A KilledError says that a second signal has ended all generations.
type KilledError struct{ Signal os.Signal }

func (e KilledError) Error() string { return "a second signal has ended it: " + e.Signal.String() }

// A Parent starts generations. One goroutine, in Run, changes its state; the lock of processes
// guards what others read.
type Parent struct {
	Options
	sockets  *sockets
	requests chan request
	ended    chan struct{} // closed when loop has ended
	control  *control      // nil until the first generation serves
	signals  signals
	source   // of the generation that serves, for the case that it crashes
	bounds   handover.Generations
	grace    time.Duration // that a stop may take
	limits   limits
	previous previous // what is put back if the newest fails soon
	crashes  backOff
	closings sync.WaitGroup // generations that are told to close their terminals
	ids      int            // of the last generation

	processes
}

// processes are the generations that live.
type processes struct {
	mu      sync.Mutex
	living  []*generation // in the order of their start
	serving *generation   // nil while there is none
	counts  counted
}

// counted is what the balancer has counted, as its generations understand it.
type counted struct {
	Counts json.RawMessage `json:"counts,omitempty"`
	By     int             `json:"counts_of,omitempty"` // the generation that has told it
}

// A source is what a generation is started from.
type source struct {
	binary *binary
	config []byte // the text of the configuration; nil: what is in the file
}

// previous is what was in force before the newest generation.
type previous struct {
	generation *generation // nil if there is nothing to put back
	source
	until time.Time
}

// A request is a change that somebody wants.
type request struct {
	handover.Change
	done chan<- outcome
}

type outcome struct {
	result handover.Result
	err    error
}

// New returns a Parent that has started nothing yet.
func New(o Options) (*Parent, error) {
	var b *binary
	if o.Left == nil { // else it goes on with the program that is open, whatever has become of the file
		var err error
		if b, err = openBinary(o.Program); err != nil {
			return nil, err
		}
	}
	return &Parent{Options: o, sockets: newSockets(), requests: make(chan request), ended: make(chan struct{}), signals: newSignals(), source: source{binary: b}, limits: usualLimits, bounds: handover.Generations{}.WithDefaults()}, nil
}

// Run starts a generation and keeps one serving until a signal ends it. SIGTERM and SIGINT
// stop the generations gracefully; a second one kills them, and the error is a KilledError.
// SIGHUP starts a generation with the configuration of now, SIGUSR2 one with the program of
// now. SIGUSR1 has files of logs opened anew. If the first generation can't serve, the error is an ExitError. Run returns when all
// processes that it started have ended.
func (p *Parent) Run(ctx context.Context) error {
	defer p.close()
	ctx, cancel := context.WithCancel(ctx)
	stopSorting := p.signals.sort(p.Signals, cancel, p.reopenLogs)
	defer stopSorting()
	if err := p.resumeOrStart(ctx); err != nil {
		cancel()
		return err
	}
	var parts sync.WaitGroup
	defer parts.Wait()
	defer p.closings.Wait()
	defer cancel()
	parts.Go(func() { p.Notifier.Run(ctx, func(context.Context) bool { return true }) })
	return p.loop(ctx)
}

// resumeOrStart goes on with what the program before has left, or starts the first
// generation.
func (p *Parent) resumeOrStart(ctx context.Context) error {
	var err error
	if p.Left != nil {
		err = p.takeOver(p.Left)
	} else {
		err = p.startFirst(ctx)
	}
	if err != nil {
		return err
	}
	p.Notifier.Ready(p.status())
	return nil
}

// startFirst starts the first generation, and listens on the control socket.
func (p *Parent) startFirst(ctx context.Context) error {
	if err := unused(p.Socket); err != nil {
		return err
	}
	g, err := p.spawn(p.binary)
	if err != nil {
		return err
	}
	if err := p.awaitFirst(ctx, g); err != nil {
		return err
	}
	p.adopt(g, p.binary)
	socket, err := openControl(p.Socket)
	if err == nil {
		err = p.serveControl(socket)
	}
	if err != nil {
		return errors.Join(err, p.stop())
	}
	return nil
}

// awaitFirst waits until the first generation serves. What it writes says why if it can't.
func (p *Parent) awaitFirst(ctx context.Context, g *generation) error {
	began := make(chan error, 1)
	go func() {
		err := p.start(ctx, g, nil)
		if err == nil {
			err = g.call(ctx, p.Ready, handover.KindServe, nil, nil)
		}
		began <- err // capacity 1
	}()
	select {
	case err := <-began:
		if err == nil {
			return nil
		}
		err = g.whyEnded(err)
		g.kill()
		if code := g.state.ExitCode(); code > 0 {
			return ExitError{code}
		}
		return err
	case <-ctx.Done():
		return errors.Join(ErrStopped, p.stop())
	}
}

// loop does what is asked and mends what fails.
func (p *Parent) loop(ctx context.Context) error {
	defer close(p.ended)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.stop()
		case r := <-p.requests:
			result, err := p.change(ctx, r.Change)
			r.done <- outcome{result, err}
		case s := <-p.signals.changes:
			p.changeBySignal(ctx, s)
		case <-p.serving.ended():
			p.mend(ctx)
		case now := <-tick.C:
			p.bound(ctx, now)
			p.commit(ctx, now)
			if p.serving == nil && p.crashes.due(now) {
				p.restart(ctx)
			}
		}
	}
}

// Change asks for a change and waits until it is done or refused. It is safe for concurrent
// use.
func (p *Parent) Change(c handover.Change) (handover.Result, error) {
	done := make(chan outcome, 1)
	select {
	case p.requests <- request{c, done}:
	case <-p.ended:
		return handover.Result{}, errStopping
	case <-time.After(time.Second):
		return handover.Result{}, errBusy
	}
	select {
	case o := <-done:
		return o.result, o.err
	case <-p.ended:
		return handover.Result{}, errStopping
	}
}

// errBusy is the error of a change while another one is under way.
var errBusy = &handover.Failure{Code: handover.FailedBusy, Detail: "another change is under way; wait until it is done"}

// Generations returns what is known of the living generations, oldest first. It takes a second
// at most, however many hang. It is safe for concurrent use.
func (p *Parent) Generations(ctx context.Context) []handover.Generation {
	p.mu.Lock()
	living, serving := slices.Clone(p.living), p.serving
	p.mu.Unlock()
	all := make([]handover.Generation, len(living))
	var asking sync.WaitGroup
	for i, g := range living {
		asking.Go(func() { all[i] = g.describe(ctx, g == serving) })
	}
	asking.Wait()
	return all
}

// generations returns the living generations, oldest first.
func (p *Parent) generations() []*generation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.living)
}

// olders returns the living generations without g, oldest first.
func (p *Parent) olders(g *generation) []*generation {
	return slices.DeleteFunc(p.generations(), func(o *generation) bool { return o == g })
}

// setServing says which generation serves, nil for none.
func (p *Parent) setServing(g *generation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serving = g
}

// close closes what the parent holds open.
func (p *Parent) close() {
	if p.control != nil {
		p.control.close()
	}
	p.sockets.close()
	p.binary.close()
	p.previous.binary.close()
}
