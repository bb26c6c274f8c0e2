package pool

import (
	"fmt"
	"slices"
	"time"

	"tokenring/balancer"
)

// look draws the conclusions from all that is known, and returns when to look
// again at the latest.
func (k *keeper) look(now time.Time) (next time.Time) {
	next = earliest(k.judge(now), now.Add(patrol))
	k.order()
	k.publish(now)
	k.release()
	if k.settle(now); !k.settled {
		next = earliest(next, k.started.Add(settleLimit))
	}
	return next
}

// earliest returns the earlier of two times; a zero time is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// judge rules on all hosts and forgets those that are to be forgotten. It
// returns when time alone may change a ruling, zero if it can't.
func (k *keeper) judge(now time.Time) time.Time {
	before := k.freeze
	rulings, after, next := judge(now, k.witnesses(), before, k.p.patience)
	k.freeze = after
	switch {
	case after.frozen && !before.frozen:
		k.log.Error().Int("vanished", after.gone).Int("ring", after.ring).Msg("more than half of the ring vanished at once: the ring is frozen")
	case before.frozen && !after.frozen:
		k.log.Info().Int("vanished", after.gone).Int("ring", after.ring).Msg("the ring has thawed")
	}
	for i, r := range rulings {
		h := k.hosts[i]
		if r.whyNot != h.ruling.whyNot && k.version > 0 {
			k.log.Info().Str("host", h.name).Bool("in_ring", r.inRing).Str("why_not", r.whyNot).Msg("host ruled on")
		}
		h.ruling = r
	}
	k.hosts = slices.DeleteFunc(k.hosts, func(h *known) bool {
		if h.ruling.forget {
			k.p.roster.forget(h.said.node())
			k.log.Info().Str("host", h.name).Msg("host forgotten")
		}
		return h.ruling.forget
	})
	return next
}

func (k *keeper) witnesses() []witness {
	ws := make([]witness, len(k.hosts))
	for i, h := range k.hosts {
		ws[i] = witness{
			state:    k.decision(h.name).State,
			leaving:  h.said.Leaving,
			static:   h.static,
			weight:   h.said.Weight,
			contact:  h.contact,
			lostAt:   h.lostAt,
			verdict:  h.heard.verdict,
			busy:     h.gauges.busy(),
			admitted: h.ruling.admitted,
			deadAt:   h.ruling.deadAt,
		}
	}
	return ws
}

// decision returns the operators' last word on a host: ready, if there is none.
func (k *keeper) decision(host string) Decision {
	if d, ok := k.decided[host]; ok {
		return d
	}
	return Decision{Host: host, State: Ready}
}

// order asks for a new table when the hosts in the ring aren't those of the last
// order any more.
func (k *keeper) order() {
	var wish []balancer.Host
	for _, h := range k.hosts {
		if h.ruling.inRing {
			wish = append(wish, balancer.Host{Name: h.name, ID: h.said.ID, Weight: h.said.Weight})
		}
	}
	if !slices.Equal(wish, k.wish) {
		k.wish = wish
		k.ordered++
		k.p.builder.ask(order{k.ordered, wish})
	}
	for i, w := range k.waiters {
		if w.number == 0 {
			k.waiters[i].number = k.ordered
		}
	}
}

// rebuilding reports whether the table isn't the ring's.
func (k *keeper) rebuilding() bool { return k.served != k.ordered || k.failure != nil }

// release answers the waiters whose table is there, or can't be built.
func (k *keeper) release() {
	k.waiters = slices.DeleteFunc(k.waiters, func(w waiter) bool {
		if w.number > k.served {
			return false
		}
		var err error
		if k.failure != nil {
			err = fmt.Errorf("the decision is in force but the ring could not be rebuilt: %w", k.failure)
		}
		w.done <- err
		return true
	})
}

// settle closes Pool.Settled when it is time.
func (k *keeper) settle(now time.Time) {
	if k.settled || !k.complete() && now.Before(k.started.Add(settleLimit)) {
		return
	}
	k.settled = true
	close(k.p.settled)
}

// complete reports whether all that can be waited for at the start has come, and
// has been taken in.
func (k *keeper) complete() bool {
	if !k.p.gossip.hasJoined() || !k.p.peers.gossip.hasJoined() {
		return false
	}
	if len(k.p.roster.changed) > 0 || len(k.p.peers.heard) > 0 {
		return false
	}
	if len(k.hosts) == 0 && k.p.gossip != nil {
		return false
	}
	unchecked := func(h *known) bool { return h.heard.verdict == Unchecked }
	return !slices.ContainsFunc(k.hosts, unchecked) && !k.rebuilding()
}

// publish puts a new snapshot in force if anything in it is new.
func (k *keeper) publish(now time.Time) {
	before := k.p.current.Load()
	s := k.snapshot(before, now)
	if k.version > 0 && s.equal(before) {
		return
	}
	k.version++
	s.Version = k.version
	k.p.current.Store(s)
	if k.p.o.OnSnapshot != nil {
		k.p.o.OnSnapshot(s)
	}
}

// snapshot writes down what is known. It takes over from before, the snapshot in
// force, what hasn't changed.
func (k *keeper) snapshot(before *Snapshot, now time.Time) *Snapshot {
	shares := map[string]float64{}
	for i, share := range k.table.Shares() {
		shares[k.table.Hosts()[i].Name] = share
	}
	hosts := make([]*Host, len(k.hosts))
	for i, h := range k.hosts {
		hosts[i] = k.host(h)
		hosts[i].Share = shares[h.name]
		if old := before.Host(h.name); old != nil && *old == *hosts[i] {
			hosts[i] = old
		}
	}
	s := NewSnapshot(k.table, hosts)
	s.turn = before.turn
	s.At, s.TableAt = now, k.tableAt
	s.Rebuilding = k.rebuilding()
	s.Frozen, s.FrozenSince = k.freeze.frozen, k.freeze.since
	s.Alarm = k.alarm()
	s.Peers = view(k.p.peers.roster.list(), k.table.Digest(), before.Peers, now)
	return s
}

func (k *keeper) host(h *known) *Host {
	d := k.decision(h.name)
	return &Host{
		Name:       h.name,
		ID:         h.said.ID,
		Address:    h.said.Address,
		Weight:     h.said.Weight,
		Zone:       h.said.Zone,
		Version:    h.said.Version,
		State:      d.State,
		Reason:     d.Reason,
		By:         d.By,
		Since:      d.At,
		Leaving:    h.said.Leaving,
		Static:     h.static,
		Contact:    h.contact,
		Verdict:    h.heard.verdict,
		CheckError: h.heard.why,
		CheckedAt:  h.heard.at,
		InRing:     h.ruling.inRing,
		WhyNot:     h.ruling.whyNot,
		Gauges:     h.gauges,
	}
}

func (k *keeper) alarm() string {
	switch {
	case k.freeze.frozen:
		return fmt.Sprintf("%d of the %d hosts in the ring vanished at once: the ring is frozen until they return; put those that are gone for good in maintenance",
			k.freeze.gone, k.freeze.ring)
	case k.failure != nil:
		return fmt.Sprintf("the ring could not be built: %v", k.failure)
	}
	return ""
}

// equal reports whether s tells the same as t, but for the time.
func (s *Snapshot) equal(t *Snapshot) bool {
	return slices.Equal(s.Hosts, t.Hosts) && s.Table == t.Table && s.Rebuilding == t.Rebuilding &&
		s.Frozen == t.Frozen && s.Alarm == t.Alarm && slices.Equal(s.Peers, t.Peers)
}
