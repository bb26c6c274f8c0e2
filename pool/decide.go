package pool

import (
	"cmp"
	"fmt"
	"time"

	"tokenring/balancer"
)

// learn takes in what peers have decided and seen, and passes on what is news.
func (k *keeper) learn(heard memory) {
	fresh := k.learnWarmUps(heard.warmUps)
	for _, d := range heard.decided.list() {
		if k.decided.merge(d) {
			fresh = true
			k.p.peers.tell(d)
			k.logDecision(d)
		}
	}
	if fresh {
		k.keepMemory()
	}
}

// decide takes a decision of our own operators in. The answer comes now if it is
// an error, and otherwise when the table is right and the decision on disk.
func (k *keeper) decide(r request, now time.Time) {
	d := r.decision
	if _, ok := k.find(d.Host); !ok {
		r.done <- ErrUnknownHost
		return
	}
	d.Origin, d.At = k.p.o.Name, k.decided.next(now)
	if err := cmp.Or(d.check(), k.roomFor(d)); err != nil {
		r.done <- fmt.Errorf("%w: %w", ErrDecision, err)
		return
	}
	k.decided.merge(d)
	k.p.peers.tell(d)
	k.logDecision(d)
	k.keepMemory()
	k.waiters = append(k.waiters, waiter{page: k.written, done: r.done})
}

// roomFor refuses a weight with which no table could hold all hosts, whether they
// are in the ring at present or not. If none could hold them as they are, after
// what peers decided or hosts announced, less weight is allowed: it may be the way
// back.
func (k *keeper) roomFor(d Decision) error {
	i, ok := k.find(d.Host)
	if !ok || d.Weight == nil {
		return nil
	}
	weight := *d.Weight
	if weight == OwnWeight {
		weight = k.hosts[i].said.Weight
	}
	hosts := make([]balancer.Host, len(k.hosts))
	for j, h := range k.hosts {
		hosts[j] = k.placed(h)
	}
	was := hosts[i].Weight
	hosts[i].Weight = weight
	full := k.p.o.Hash.Check(hosts)
	hosts[i].Weight = was
	if full == nil || weight <= was && k.p.o.Hash.Check(hosts) != nil {
		return nil
	}
	return fmt.Errorf("the ring has no room for the weight %d of %s: %w", weight, d.Host, full)
}

func (k *keeper) logDecision(d Decision) {
	line := k.log.Info().Str("host", d.Host)
	if d.State != "" {
		line.Str("state", string(d.State))
	}
	switch {
	case d.Weight == nil:
	case *d.Weight == OwnWeight:
		line.Str("weight", "own")
	default:
		line.Int("weight", *d.Weight)
	}
	line.Str("reason", d.Reason).Str("by", d.By).Str("origin", d.Origin).Msg("operator's decision")
}

// keepMemory has decisions and warm-ups written to disk, and holds them ready for
// peers.
func (k *keeper) keepMemory() {
	known := func(host string) bool { _, ok := k.find(host); return ok }
	k.decided.prune(maxDecisions, known)
	k.warmUps.prune(maxWarmUps, known)
	k.p.peers.hold(k.memory)
	k.written++
	if k.p.o.StateDir == "" {
		k.saved.number = k.written
		return
	}
	k.p.scribe.write(page{k.written, k.memory.clone()})
}

// file takes down what has become of a page.
func (k *keeper) file(r receipt) {
	if k.saved = r; r.err != nil {
		k.log.Error().Err(r.err).Msg("decisions and warm-ups are in force but not on disk")
	}
}
