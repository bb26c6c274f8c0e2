package pool

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/balancer"
)

// look draws the conclusions from all that is known, and returns when to look
// again at the latest.
func (k *keeper) look(now time.Time) (next time.Time) {
	k.miss(now)
	moves := k.giveUpMoves(now)
	k.fit()
	next = earliest(k.judge(now), now.Add(patrol))
	k.watch(now)
	next = earliest(next, k.order(now))
	next = earliest(next, k.compare(now))
	k.publish(now)
	k.release()
	next = earliest(earliest(next, moves), k.saveAgain(now))
	return earliest(next, k.settle(now))
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
	for i, r := range rulings {
		h := k.hosts[i]
		if r.whyNot != h.ruling.whyNot && k.version > 0 {
			k.log.Info().Str("host", h.name).Bool("in_ring", r.inRing).Str("why_not", r.whyNot).Msg("host ruled on")
		}
		h.ruling = r
	}
	next = earliest(next, k.noteFreeze(before, now))
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
			state:    k.decided.state(h.name).State,
			leaving:  h.said.Leaving,
			static:   h.static,
			weight:   k.placed(h).Weight,
			crowded:  slices.Contains(k.out, h.name),
			contact:  h.contact,
			lostAt:   h.lostAt,
			verdict:  h.heard.Verdict,
			busy:     h.gauges.busy(),
			admitted: h.ruling.admitted,
			inRing:   h.ruling.inRing,
			deadAt:   h.ruling.deadAt,

			failingAt: h.ruling.failingAt,
		}
	}
	return ws
}

// placed returns what a table is to know of h: its weight is the operators', if
// they have decided one that counts, else its own.
func (k *keeper) placed(h *known) balancer.Host {
	placed := h.said.placed()
	if weight, ok := k.weights[h.name]; ok {
		placed.Weight = weight
	}
	return placed
}

// order asks for a new table when the hosts in the ring aren't those of the last
// order any more, or don't weigh the same, and for tables of the past that are
// needed and not there. It returns when a warming host takes the next part of its
// keys, zero if none does.
func (k *keeper) order(now time.Time) (next time.Time) {
	wish := order{number: k.asked.number}
	var ring []tenure
	for _, h := range k.hosts {
		if !h.ruling.inRing {
			continue
		}
		t := tenure{host: k.inTable(h), serves: h.serving || k.freeze.frozen && !h.ruling.failedBefore, ramp: k.rampOf(h.name), back: k.warmUps[h.name].Back}
		ring = append(ring, t)
		wish.hosts = append(wish.hosts, t.host)
		if t.serves {
			next = earliest(next, t.ramp.next(now))
		}
	}
	pasts := pastsOf(ring, now)
	wish.past = recall(pasts, k.pasts, k.table)
	k.pasts = pasts
	k.ask(wish)
	return next
}

// inTable returns what the next table is to know of h: while the ring is frozen,
// what the last order said, for another weight would move keys of hosts that vanished.
func (k *keeper) inTable(h *known) balancer.Host {
	if k.freeze.frozen {
		if i := k.asked.find(h.name); i >= 0 {
			return k.asked.hosts[i]
		}
	}
	return k.placed(h)
}

// ask orders what is wished unless it is ordered already. If no host has come when
// it is time to serve, that is the ring without hosts: those whose hosts have all
// left have that one, and would take another digest for disagreement.
func (k *keeper) ask(wish order) {
	other := !slices.Equal(wish.hosts, k.asked.hosts) || !k.settled.IsZero() && k.asked.number == 0
	if other {
		wish.number++
	}
	if other || len(wish.past) > 0 && !slices.EqualFunc(wish.past, k.asked.past, slices.Equal) {
		k.p.builder.ask(wish)
	}
	k.asked = wish
	for i, w := range k.waiters {
		if w.number == 0 {
			k.waiters[i].number = wish.number
		}
	}
}

// rebuilding reports whether the table isn't the ring's.
func (k *keeper) rebuilding() bool { return k.served != k.asked.number || k.failure != nil }

// release answers the waiters whose decision is on disk and whose table is there, and
// those for whom one of them can't be.
func (k *keeper) release() {
	k.waiters = slices.DeleteFunc(k.waiters, func(w waiter) bool {
		var err error
		switch {
		case w.page > k.saved.number:
			return false
		case k.saved.err != nil:
			err = fmt.Errorf("the decision is in force but not on disk: %w", k.saved.err)
		case w.number > k.served:
			return false
		case k.failure != nil:
			err = fmt.Errorf("the decision is in force but the ring could not be rebuilt: %w", k.failure)
		}
		w.done <- err
		return true
	})
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
		hosts[i].Warming = k.warming(h, now)
		if old := before.Host(h.name); old != nil && *old == *hosts[i] {
			hosts[i] = old
		}
	}
	s := NewSnapshot(k.table, hosts)
	s.Frozen, s.FrozenSince, s.FrozenUntil = k.freeze.frozen, k.freeze.since, k.freeze.until
	s.FreezesExpired = k.expiries
	s.remember(k.pasts, k.rampOf, now)
	s.turn = before.turn
	s.At, s.TableAt, s.TableNumber = now, k.tableAt, k.tables
	s.BoundedLoad = k.p.o.Hash.BoundedLoad
	s.SlowStart = k.p.slowStart
	s.Rebuilding = k.rebuilding()
	s.Alarm = k.alarm(now)
	s.Peers = k.others
	return s
}

func (k *keeper) host(h *known) *Host {
	d := k.decided.state(h.name)
	dnsName := ""
	if _, _, named := splitName(h.said.Address); named {
		dnsName = h.said.Address
	}
	return &Host{
		Name:       h.name,
		ID:         h.said.ID,
		Address:    h.address,
		DNSName:    dnsName,
		Weight:     k.placed(h).Weight,
		Announced:  h.said.Weight,
		Weighed:    k.weighed(h.name),
		Zone:       h.said.Zone,
		Version:    h.said.Version,
		State:      d.State,
		Reason:     d.Reason,
		By:         d.By,
		Since:      d.At,
		Leaving:    h.said.Leaving,
		Static:     h.static,
		Contact:    h.contact,
		Moving:     h.moving && h.ruling.inRing,
		Verdict:    h.heard.Verdict,
		CheckError: h.heard.Error,
		CheckedAt:  h.heard.At,
		InRing:     h.ruling.inRing,
		WhyNot:     h.ruling.whyNot,

		FailedBefore: h.ruling.failedBefore,
		Gauges:       h.gauges,
	}
}

// weighed returns who has given the host another weight than its own.
func (k *keeper) weighed(host string) Word {
	if _, ok := k.weights[host]; !ok {
		return Word{}
	}
	d, _ := k.decided.weight(host)
	return Word{By: d.By, Reason: d.Reason, Since: d.At}
}

// alarm says what an operator should look at, the worst first.
func (k *keeper) alarm(now time.Time) string {
	alarms := []string{k.freezeAlarm()}
	if k.failure != nil {
		alarms = append(alarms, fmt.Sprintf("the ring could not be built: %v", k.failure))
	}
	if k.doubt != nil {
		alarms = append(alarms, fmt.Sprintf("the library that places tokens doesn't confirm what this program had forecast (%v): "+
			"report it with the names and weights of the hosts, which lb ctl ring shows", k.doubt))
	}
	alarms = append(alarms, k.room.alarms()...)
	if len(k.discord) > 0 {
		alarms = append(alarms, discordAlarm(k.discord))
	}
	alarms = append(alarms, severalAlarm(k.withSeveral()), clockAlarm(k.decided.ahead(now)), k.saved.alarm(), k.p.scribe.rest.alarm(decisionsName), k.decided.unknownAlarm(), k.p.asides.alarm())
	alarms = slices.DeleteFunc(alarms, func(alarm string) bool { return alarm == "" })
	return strings.Join(alarms, ". Also: ")
}

// withSeveral returns the names of the hosts whose address is a name that has several.
func (k *keeper) withSeveral() (hosts []string) {
	for _, h := range k.hosts {
		if h.several {
			hosts = append(hosts, h.name)
		}
	}
	return hosts
}

// equal reports whether s tells the same as t, but for the time.
func (s *Snapshot) equal(t *Snapshot) bool {
	return slices.Equal(s.Hosts, t.Hosts) && s.Table == t.Table && slices.EqualFunc(s.layers(), t.layers(), (*layer).same) && s.Rebuilding == t.Rebuilding &&
		s.Frozen == t.Frozen && s.Alarm == t.Alarm && slices.Equal(s.Peers, t.Peers)
}
