package main

import (
	"context"
	"sync"
	"time"

	"tokenring/gate"
	"tokenring/gossip"
	"tokenring/systemd"
)

// leaveTime is longer than an agent needs to leave the pool.
const leaveTime = 30 * time.Second

// An agentService is what the service manager is told about an agent. The agent is ready
// when it runs: whether a balancer takes the host is its status, because that may change
// at any time, and what is ordered after the agent may be what the balancer waits for.
type agentService struct {
	notifier *systemd.Notifier

	mu     sync.Mutex
	status string // that was told last; "" for none
	gate   string // how far the gate is open; "" if there is none
	told   time.Time
}

// tell is AgentConfig.Status.
func (s *agentService) tell(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.status {
	case status:
	case "":
		s.notifier.Ready(s.with(status))
	default:
		s.notifier.Status(s.with(status))
	}
	s.status, s.told = status, time.Now()
}

// tellGate is gate.Config.OnChange.
func (s *agentService) tellGate(g gate.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate = g.String(); s.status != "" {
		s.notifier.Status(s.with(s.status))
	}
}

// with adds how far the gate is open to a status.
func (s *agentService) with(status string) string {
	if s.gate == "" {
		return status
	}
	return s.gate + "; " + status
}

// run tells the watchdog that the agent works, and begins drains that signals ask for, until
// ctx ends.
func (s *agentService) run(ctx context.Context, drain *hostDrain) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { drain.onSignals(ctx) })
	s.notifier.Run(ctx, s.alive)
}

// alive reports whether the agent makes its rounds. One that hangs tells no status.
func (s *agentService) alive(context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.told) < gossip.RoundLimit
}

// beside calls run and returns what it returns. Until then background runs beside it.
func beside(ctx context.Context, background func(context.Context), run func(context.Context) error) error {
	watched, cancel := context.WithCancel(context.WithoutCancel(ctx)) // also while run stops
	var running sync.WaitGroup
	running.Go(func() { background(watched) })
	defer running.Wait()
	defer cancel()
	return run(ctx)
}
