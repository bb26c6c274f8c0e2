package health

import (
	"errors"
	"net/http"

	"tokenring/lease"
)

// Leasing is what a monitor needs to give leases to hosts, so that their gates let users in: see
// package lease. The zero Leasing gives none.
type Leasing struct {
	// Prove returns the proof that a check of a host comes from this balancer, and repeats the
	// challenge of the host's gate. gives says whether it gives a lease. It must be safe for
	// concurrent use, and not block.
	Prove func(host, challenge string, gives bool) string
}

// SetLeasing must be called before Run.
func (m *Monitor) SetLeasing(l Leasing) { m.leasing = l }

// Lease replaces the hosts to which leases are given while their checks pass: those for which
// hosts is true. hosts belongs to m from now on. Checks that begin after Lease has returned give
// no leases to other hosts.
func (m *Monitor) Lease(hosts map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leased = hosts
}

// A gate is what a watcher knows of the gate before its host.
type gate struct {
	seen      bool   // it has answered the last check that got an answer
	challenge string // its last one; "" if there is none
}

// prove returns the value of the field of a check with a proof, "" if hosts have no gates.
func (m *Monitor) prove(host string, g gate) string {
	switch {
	case m.leasing.Prove == nil:
		return ""
	case g.challenge == "":
		return lease.Hello
	}
	m.mu.Lock()
	gives := m.leased[host]
	m.mu.Unlock()
	return m.leasing.Prove(host, g.challenge, gives)
}

// note takes in what the gate has said in an answer, interim or final. It returns why the gate
// has refused the check, nil if it hasn't.
func (g *gate) note(resp *http.Response) (refused error) {
	value := resp.Header.Get(lease.Field)
	if value == "" {
		return nil
	}
	challenge, refused, ok := lease.ReadAnswer(value)
	if ok {
		g.seen, g.challenge = true, challenge
	}
	return refused
}

// isWorthAgain reports whether a gate that has refused a check for this accepts the next one, as
// that one repeats its new challenge.
func isWorthAgain(refused error) bool {
	return errors.Is(refused, lease.ErrHello) || errors.Is(refused, lease.ErrStale)
}

// gateText says why a gate has refused a check.
func gateText(refused error) string {
	if errors.Is(refused, lease.ErrUnknown) {
		return "the host's gate doesn't know this balancer's key"
	}
	return "the host's gate refuses this balancer's proof"
}
