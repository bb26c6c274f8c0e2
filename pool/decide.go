package pool

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tokenring/balancer"
)

// learn takes in what peers have decided and seen, and passes on what is news.
func (k *keeper) learn(heard memory, now time.Time) {
	fresh := k.learnWarmUps(heard.warmUps)
	for _, d := range heard.decided.list() {
		if k.decided.merge(d) {
			fresh = true
			k.p.peers.tell(d)
			k.logDecision(d)
			if d.ahead(now) {
				k.log.Error().Str("host", d.Host).Str("origin", d.Origin).Time("at", d.At).Msg("a decision of the future: the clock of its origin is wrong")
			}
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
	d.Origin = k.p.o.Name
	d = k.decided.date(d, now)
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
// are in the ring at present or not; but for those that have no room as it is.
func (k *keeper) roomFor(d Decision) error {
	i, ok := k.find(d.Host)
	if !ok || d.Weight == nil {
		return nil
	}
	weight := *d.Weight
	if weight == OwnWeight {
		weight = k.hosts[i].said.Weight
	}
	var hosts []balancer.Host
	for _, h := range k.hosts {
		if h != k.hosts[i] && !h.said.Leaving && !slices.Contains(k.out, h.name) {
			hosts = append(hosts, k.placed(h))
		}
	}
	placed := k.hosts[i].said.placed()
	placed.Weight = weight
	if err := k.p.o.Hash.Check(append(hosts, placed)); err != nil {
		return fmt.Errorf("the ring has no room for the weight %d of %s: %w", weight, d.Host, err)
	}
	return nil
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
	if dropped := k.decided.prune(maxDecisions, known); dropped > 0 {
		k.log.Error().Int("decisions", dropped).Int("limit", maxDecisions).Msg("the oldest decisions about hosts that aren't known are forgotten: there are too many")
	}
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
func (k *keeper) file(r receipt, now time.Time) {
	switch before := k.saved; {
	case r.err != nil && (before.err == nil || before.err.Error() != r.err.Error()):
		k.log.Error().Err(r.err).Msg("decisions and warm-ups are in force but not on disk")
	case r.err == nil && before.err != nil:
		k.log.Info().Msg("decisions and warm-ups are on disk again")
	}
	k.saved, k.savedAt = r, now
}

// saveAgain has what couldn't be written to disk written once more when it is time,
// and returns when that is; zero if there is no need.
func (k *keeper) saveAgain(now time.Time) (next time.Time) {
	if k.saved.err == nil || k.saved.number < k.written {
		return time.Time{}
	}
	if due := k.savedAt.Add(saveRetry); now.Before(due) {
		return due
	}
	k.keepMemory()
	return time.Time{}
}
