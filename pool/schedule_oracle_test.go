package pool

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"tokenring/balancer"
	"tokenring/pool/moment"
	"tokenring/route"
)

// A simOracle has what each host has served, and says when that breaks a promise of
// docs/guarantees.md.
type simOracle struct {
	w *simWorld

	mu         sync.Mutex
	number     int
	uses       map[string][]*simUse // by token
	apartAt    map[string]time.Time // by token: when balancers may have begun to differ about it
	faults     []*simFault
	violations []simViolation
	longest    time.Duration // for which a request has waited for its host
	moves      int
}

// A simUse is a terminal or a request that a host serves.
type simUse struct {
	number   int
	token    string
	host     string
	process  *simProcess
	kind     string
	from, to time.Time     // to is zero while it lasts
	waited   time.Duration // before
}

// A simFault is what is wrong with machines for a time.
type simFault struct {
	what     string
	host     string    // that has failed, or isn't reached by a balancer
	by       string    // that balancer
	ways     [2]string // balancers that don't reach each other
	balancer string    // that is off, or has just started
	givenUp  bool      // operators have put the host to maint, or its drain is over by some clocks
	from, to time.Time // to is zero while it lasts
}

// A simViolation is a promise that wasn't kept.
type simViolation struct {
	token, text string
}

func newOracle(w *simWorld) *simOracle {
	return &simOracle{w: w, uses: map[string][]*simUse{}, apartAt: map[string]time.Time{}}
}

// fault takes down that a fault begins, and returns what is to be called when it ends.
func (o *simOracle) fault(f simFault) (end func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.from = time.Now()
	o.faults = append(o.faults, &f)
	o.w.note("", "FAULT %s", f.what)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		f.to = time.Now()
		o.w.note("", "mended: %s", f.what)
	}
}

// hostIsBack ends the faults of a host that had left.
func (o *simOracle) hostIsBack(host string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.faults {
		if f.host == host && f.to.IsZero() {
			f.to = time.Now()
		}
	}
}

// started says that a balancer serves clients again.
func (o *simOracle) started(balancer string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.faults {
		if f.balancer == balancer && f.to.IsZero() {
			f.to = time.Now()
		}
	}
}

// recently reports whether a fault of a kind lasts, or has ended less than within ago.
func (o *simOracle) recently(within time.Duration, which func(*simFault) bool) bool {
	for _, f := range o.faults {
		if which(f) && (f.to.IsZero() || time.Since(f.to) < within) {
			return true
		}
	}
	return false
}

// retold is how late peers know that a token is used again and again: see region.Used.
const retold = time.Minute

// How long after a fault its consequences may show.
const (
	hostRecovers   = time.Minute      // checks, votes and damping
	toldOfOverride = 5 * time.Second  // by gossip
	peersMeet      = 15 * time.Second // gossip, streams and their snapshots
)

// hostFailed reports whether something was wrong with a host lately: with itself, or between it
// and most balancers. What one balancer alone doesn't reach moves nothing.
func (o *simOracle) hostFailed(host string) bool {
	from := o.unreached(host)
	return from[""] || 2*len(from) > len(o.w.balancers)
}

// failed reports whether a host has failed, or may be down by the word of one process, because that
// was cut off.
func (o *simOracle) failed(p *simProcess, host string) bool {
	return o.hostFailed(host) || o.alone(p.name) && o.unreached(host)[p.name]
}

// unreached returns the balancers that haven't reached a host lately; "" stands for all.
func (o *simOracle) unreached(host string) map[string]bool {
	from := map[string]bool{}
	for _, f := range o.faults {
		within := hostRecovers
		if f.givenUp {
			within = toldOfOverride
		}
		if f.host == host && (f.to.IsZero() || time.Since(f.to) < within) {
			from[f.by] = true
		}
	}
	return from
}

// alone reports whether a balancer was cut off from all others lately: then its own word counts.
func (o *simOracle) alone(name string) bool {
	return !slices.ContainsFunc(o.w.balancers, func(b *simBalancer) bool {
		return b.name != name && !o.recently(peersMeet, func(f *simFault) bool { return f.ways == [2]string{name, b.name} || f.ways == [2]string{b.name, name} })
	})
}

// apart reports whether the processes of two uses may not have known of each other's: one was
// started lately, or ended as soon as it had begun the earlier one, or they weren't connected.
func (o *simOracle) apart(earlier, later *simUse) bool {
	a, b := earlier.process.name, later.process.name
	if earlier.process == later.process {
		return false
	}
	const telling = 3 * time.Second // until peers know
	for _, f := range o.faults {
		begun := earlier.from
		if earlier.kind == "request" {
			begun = earlier.ended()
		}
		if f.balancer == a && !f.from.Before(begun) && f.from.Sub(begun) < telling {
			return true
		}
	}
	return o.recently(peersMeet, func(f *simFault) bool {
		switch {
		case f.balancer != "":
			return (f.balancer == a || f.balancer == b) && !f.to.IsZero()
		}
		return a != b && (f.ways == [2]string{a, b} || f.ways == [2]string{b, a})
	})
}

// begin takes down that a host begins to serve a token. It returns nil if the process has ended.
func (o *simOracle) begin(t *simTab, p *simProcess, host, kind string, rule balancer.Rule) *simUse {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.ctx.Err() != nil {
		return nil
	}
	o.number++
	use := &simUse{number: o.number, token: t.token, host: host, process: p, kind: kind, from: time.Now(), waited: t.waited}
	o.w.note(t.token, "%s %d through %s on %s: %s", kind, use.number, p.name, host, rule)
	o.check(use)
	o.uses[t.token] = append(o.uses[t.token], use)
	return use
}

// check looks whether the token may be served by this host now.
func (o *simOracle) check(use *simUse) {
	const settles = 15 * time.Second // until all balancers agree again on a token
	differ := o.isSplit(use) || time.Since(o.apartAt[use.token]) < settles
	var last *simUse
	for _, other := range o.uses[use.token] {
		if last == nil || other.ended().After(last.ended()) {
			last = other
		}
		if other.host == use.host || !other.to.IsZero() {
			continue
		}
		switch {
		case o.isGivenUp(other), other.kind == "request" && takenOut(use.process, other.host), other.kind != use.kind && (o.failed(use.process, other.host) || o.failed(use.process, use.host)):
		case other.kind == "request" && use.kind == "request" && differ: // which have begun on both sides of a cut
		case other.process.simBalancer == use.process.simBalancer:
			o.violated(use, "G1: %s %d of the same balancer is on %s", other.kind, other.number, other.host)
		case differ:
		case o.mayMove(other, use):
			o.apartAt[use.token] = time.Now()
		default:
			o.violated(use, "G2: %s %d through %s is on %s", other.kind, other.number, other.process.name, other.host)
		}
	}
	if last == nil || last.host == use.host || differ {
		return
	}
	since := time.Since(last.ended())
	switch {
	case since >= o.w.linger-retold:
	case o.mayMove(last, use):
		o.moves++
		if last.process != use.process {
			o.apartAt[use.token] = time.Now()
		}
	default:
		o.violated(use, "G2: it was on %s %v ago, through %s (%s %d)", last.host, since, last.process.name, last.kind, last.number)
	}
}

// isGivenUp reports whether operators have given up the host of a request since that began:
// such a request may end there.
func (o *simOracle) isGivenUp(u *simUse) bool {
	return u.kind == "request" && o.recently(time.Since(u.from), func(f *simFault) bool { return f.host == u.host && f.givenUp })
}

// takenOut reports whether operators have taken a host out, by what a process knows, so that nothing
// new goes there: it is in maint, or the deadline of its drain is over.
func takenOut(p *simProcess, host string) bool {
	h := p.snapshot.Load().Host(host)
	return h != nil && (h.State == route.Maint || h.State == route.Drain && h.DrainEnd.Over(p.now()))
}

// isSplit reports whether a token is on two hosts already, of which one is that of use.
func (o *simOracle) isSplit(use *simUse) bool {
	here, elsewhere := false, false
	for _, other := range o.uses[use.token] {
		if other.to.IsZero() && !o.isGivenUp(other) {
			here, elsewhere = here || other.host == use.host, elsewhere || other.host != use.host
		}
	}
	return here && elsewhere
}

// ended returns when a use has ended: now if it lasts.
func (u *simUse) ended() time.Time {
	if u.to.IsZero() {
		return time.Now()
	}
	return u.to
}

// lingersAt returns the host on which a token lingers everywhere by its last use; "" if there is
// none, or if it was used on another one less than a minute before: peers are told so late.
func (o *simOracle) lingersAt(token string) (host string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var last, other time.Time
	for _, u := range o.uses[token] {
		switch at := u.ended(); {
		case u.host == host:
			last = moment.Latest(last, at)
		case at.After(last):
			host, last, other = u.host, at, last
		default:
			other = moment.Latest(other, at)
		}
	}
	if time.Since(last) > o.w.linger-retold || last.Sub(other) < retold {
		return ""
	}
	return host
}

// mayLeave reports whether a process may send the token of a host elsewhere.
func (o *simOracle) mayLeave(p *simProcess, host string) bool {
	return takenOut(p, host) || o.failed(p, host)
}

// mayMove reports whether a token may have another host than for its last use.
func (o *simOracle) mayMove(last, use *simUse) bool {
	const connect = 2 * time.Second
	if use.waited >= connect && use.process.snapshot.Load().Host(last.host) == nil {
		return true // in vain, for a host that it doesn't know
	}
	drained := func(f *simFault) bool { return f.host == use.host && f.givenUp } // not yet by the clock here
	return o.mayLeave(use.process, last.host) || o.apart(last, use) || o.recently(peersMeet, drained)
}

// violated takes down that a promise wasn't kept.
func (o *simOracle) violated(use *simUse, format string, args ...any) {
	text := fmt.Sprintf("%s %d through %s on %s: ", use.kind, use.number, use.process.name, use.host) + fmt.Sprintf(format, args...)
	o.violations = append(o.violations, simViolation{use.token, text})
	o.w.note(use.token, "VIOLATION %s", text)
}

// fail takes down what is wrong though no host serves anything by it.
func (o *simOracle) fail(token, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.violations = append(o.violations, simViolation{token, fmt.Sprintf(format, args...)})
	o.w.note(token, "VIOLATION "+format, args...)
}

// end takes down that a use has ended.
func (o *simOracle) end(use *simUse, why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !use.to.IsZero() {
		return
	}
	use.to = time.Now()
	if use.kind == "terminal" {
		o.w.note(use.token, "terminal %d on %s ends: %s", use.number, use.host, why)
	}
}

// endAll ends the uses for which which reports true.
func (o *simOracle) endAll(which func(*simUse) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, uses := range o.uses {
		for _, use := range uses {
			if use.to.IsZero() && which(use) {
				use.to = time.Now()
			}
		}
	}
}

// hostEnds says that the service of a host has ended, and with it all that it serves.
func (o *simOracle) hostEnds(host string) { o.endAll(func(u *simUse) bool { return u.host == host }) }

// processEnds says that a process has ended, and with it all its connections.
func (o *simOracle) processEnds(p *simProcess) {
	o.endAll(func(u *simUse) bool { return u.process == p })
}

// patience is how long a request may wait until it is sent to a host, or refused: connections
// to two hosts, a claim, and what the network takes.
const patience = 12 * time.Second

// waited takes down how long a request has waited for its host.
func (o *simOracle) waited(t *simTab, p *simProcess, d time.Duration) {
	o.mu.Lock()
	o.longest = max(o.longest, d)
	t.waited = d
	o.mu.Unlock()
	if d > patience {
		o.fail(t.token, "a request through %s has waited %v for its host", p.name, d)
	}
}
