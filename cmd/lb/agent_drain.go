package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
)

// A hostDrain is the drain that an agent announces of its host. It is safe for concurrent
// use.
type hostDrain struct {
	length  time.Duration // from the signal that ends the agent until it leaves; 0: it leaves at once
	log     zerolog.Logger
	service *agentService

	signals   chan os.Signal          // each begins a drain without a deadline; of capacity one
	announced chan announcement.Drain // the last one, until it is announced; of capacity one

	mu   sync.Mutex
	last announcement.Drain
}

// newHostDrain returns a drain that hasn't begun. SIGUSR1 doesn't end the process from now on,
// until stop is called.
func newHostDrain(length time.Duration, service *agentService, log zerolog.Logger) (d *hostDrain, stop func()) {
	d = &hostDrain{length: length, log: log, service: service, signals: make(chan os.Signal, 1), announced: make(chan announcement.Drain, 1)}
	signal.Notify(d.signals, syscall.SIGUSR1)
	return d, func() { signal.Stop(d.signals) }
}

// begin announces a drain from now on. A drain without a deadline doesn't replace one that
// has a deadline: the agent leaves then.
func (d *hostDrain) begin(deadline time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if deadline.IsZero() && !d.last.Deadline.IsZero() {
		return
	}
	d.last = announcement.NewDrain(time.Now(), deadline)
	select {
	case <-d.announced: // nobody has taken it yet
	default:
	}
	d.announced <- d.last
}

// onSignals begins a drain without a deadline at each SIGUSR1, until ctx ends.
func (d *hostDrain) onSignals(ctx context.Context) {
	for {
		select {
		case <-d.signals:
			d.begin(time.Time{})
		case <-ctx.Done():
			return
		}
	}
}

// beforeStop announces a drain with a deadline and waits for that, if the agent is to do so.
// Another signal ends the wait.
func (d *hostDrain) beforeStop(signals <-chan os.Signal, ended <-chan struct{}) {
	if d.length == 0 {
		return
	}
	deadline := time.Now().Add(d.length)
	d.log.Info().Time("deadline", deadline).Msg("the host drains, and leaves at the deadline; a second signal lets it leave at once")
	d.service.notifier.Stopping(d.length+leaveTime, "the host drains until "+deadline.UTC().Format(time.RFC3339))
	d.begin(deadline)
	timer := time.NewTimer(d.length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-signals:
	case <-ended:
	}
}
