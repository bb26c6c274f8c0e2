package parent

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tokenring/handover"
)

// signals are the signals that have come.
type signals struct {
	stopping atomic.Bool    // one has ended the service
	stops    chan os.Signal // the second one and later ones that end the service
	changes  chan os.Signal // those that ask for a change
}

func newSignals() signals {
	return signals{stops: make(chan os.Signal, 1), changes: make(chan os.Signal, 1)}
}

// sort takes signals in as they come: for the first one that ends the service it calls stop,
// and for SIGUSR1 reopen. The caller calls done, which waits.
func (l *signals) sort(come <-chan os.Signal, stop, reopen func()) (done func()) {
	ended := make(chan struct{})
	var sorting sync.WaitGroup
	sorting.Go(func() {
		for {
			select {
			case <-ended:
				return
			case s := <-come:
				isStop := s == syscall.SIGTERM || s == os.Interrupt
				switch {
				case isStop && l.stopping.CompareAndSwap(false, true):
					stop()
				case isStop:
					leave(l.stops, s)
				case s == syscall.SIGUSR1:
					reopen()
				default:
					leave(l.changes, s)
				}
			}
		}
	})
	return func() {
		close(ended)
		sorting.Wait()
	}
}

// reopenLogs has all processes open the files of their logs anew.
func (p *Parent) reopenLogs() {
	if p.Reopen != nil {
		if err := p.Reopen(); err != nil {
			p.Logger.Error().Err(err).Msg("a log can't be opened anew: lines go on to the file before")
		}
	}
	for _, g := range p.generations() {
		_ = g.conn.Notify(handover.KindReopen, nil) // an error means that it has just ended
	}
}

// leave sends s unless a signal waits already.
func leave(to chan os.Signal, s os.Signal) {
	select {
	case to <- s:
	default:
	}
}

// patience is how much longer than it has said a stop may take.
const patience = 10 * time.Second

// stop stops all generations and waits until they have ended. A second signal kills them.
func (p *Parent) stop() error {
	p.Notifier.Stopping(p.grace+patience, "stopping")
	living := p.generations()
	for _, g := range living {
		_ = g.conn.Notify(handover.KindStop, nil) // an error means that it has just ended
	}
	late := time.NewTimer(p.grace + patience)
	defer late.Stop()
	for _, g := range living {
		for waiting := true; waiting; {
			select {
			case <-g.exited:
				waiting = false
			case s := <-p.signals.stops:
				p.Logger.Warn().Stringer("signal", s).Msg("a second signal: ending at once")
				p.killAll()
				return KilledError{s}
			case <-late.C:
				p.Logger.Error().Msg("the generations haven't stopped in time: ending at once")
				p.killAll()
			}
		}
	}
	return nil
}

// killAll kills all generations and waits until they have ended.
func (p *Parent) killAll() {
	for _, g := range p.generations() {
		g.kill()
	}
}
