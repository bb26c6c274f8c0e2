package pool

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/handed"
	"tokenring/pool/moment"
	"tokenring/pool/votes"
	"tokenring/route"
)

// assess finds out which hosts belong in the ring, and forgets hosts. It returns the time
// at which the result may change though nothing happens; zero if there is no such time.
func (m *machine) assess(now time.Time) time.Time {
	before, delays := m.freeze, m.delays
	before.PeerLost = m.council.LastLost()
	if len(m.awaited) > 0 && !before.Frozen { // so far, of the ring of the last run only a part is here
		delays.Freeze.SetOff()
	}
	all, after, next := eligibility.Assess(now, m.observations(), before, delays)
	m.freeze = after
	next = moment.Earliest(next, m.hold(all, now))
	for i, e := range all {
		h := m.hosts[i]
		if e.WhyNot != h.eligibility.WhyNot && m.version > 0 {
			m.log.Info().Str("host", h.Name).Bool("in_ring", e.InRing).Str("why_not", e.WhyNot).Msg("host in or out of the ring")
		}
		h.eligibility = e
		if e.InRing {
			h.since = moment.OrElse(h.since, now)
		}
	}
	next = moment.Earliest(next, m.noteFreeze(before, now))
	var dropped []peers.Topic
	m.hosts = slices.DeleteFunc(m.hosts, func(h *host) bool {
		if h.eligibility.Forget {
			m.effects.forgotten = append(m.effects.forgotten, h.Node())
			m.registers.Renew(h.Name, now)
			dropped = append(dropped, m.registers.Forget(h.Name)...)
			m.log.Info().Str("host", h.Name).Msg("host forgotten")
		}
		return h.eligibility.Forget
	})
	if len(dropped) > 0 {
		m.write(nil, dropped)
	}
	return next
}

// whyBarred returns why a host may not be in the ring beside the others, "" if it may.
func (m *machine) whyBarred(h *host) string {
	if m.isAtPeer(h) {
		return route.WhyBalancer
	}
	if why := m.Barred[h.Name]; why != "" {
		return why
	}
	if m.capacity.Excludes(h.Name) {
		return route.WhyNoRoom
	}
	return ""
}

// observations returns what Assess has to know of the hosts.
func (m *machine) observations() []eligibility.Observation {
	all := make([]eligibility.Observation, len(m.hosts))
	for i, h := range m.hosts {
		all[i] = eligibility.Observation{
			State:    m.registers.State(h.Name).State,
			Leaving:  h.Leaving,
			Drains:   m.drainsItself(h),
			Foreign:  m.isForeign(h),
			Listed:   h.listed(),
			Removed:  h.isRemoved(),
			Backup:   m.isBackup(h),
			Weight:   m.placed(h).Weight,
			Barred:   m.whyBarred(h),
			Machine:  h.machine(),
			Unproven: !h.proven,
			Contact:  h.contact,
			LostAt:   h.lostAt,
			Verdict:  h.ballot.Assessed(),
			Held:     h.ballot.Held,
			Busy:     h.gauges.Busy(),
			Last:     h.eligibility,
		}
	}
	return all
}

// allocate finds out which hosts have a place in the ring, and with which weights.
func (m *machine) allocate() {
	all := make([]eligibility.Demand, 0, len(m.hosts))
	for _, h := range m.hosts {
		if m.claims(h) && m.Barred[h.Name] == "" {
			all = append(all, eligibility.Demand{Host: m.own(h), Listed: h.configured(), Operator: h.origin == route.OriginOperator})
		}
	}
	m.addSetWeights(all)
	if m.version > 0 && slices.Equal(all, m.demands) {
		return
	}
	before := m.capacity
	m.demands, m.capacity = all, eligibility.Allocate(all, m.hash)
	switch {
	case slices.Equal(m.capacity.Out, before.Out) && slices.Equal(m.capacity.Excess, before.Excess):
	case len(m.capacity.Out)+len(m.capacity.Excess) > 0:
		m.log.Error().Strs("hosts", m.capacity.Out).Strs("weights", m.capacity.Excess).Msg("the ring has no room for these hosts, or for the weights that operators have set")
	default:
		m.log.Info().Msg("the ring has room for all hosts and weights again")
	}
}

// addSetWeights adds the weights that operators have set, and their order, to demands.
// Those that were set at the same time have the same order.
func (m *machine) addSetWeights(all []eligibility.Demand) {
	type set struct {
		demand   int // its index
		override peers.Override
	}
	var weights []set
	for i := range all {
		if o, ok := m.registers.Weight(all[i].Host.Name); ok {
			weights = append(weights, set{i, o})
		}
	}
	slices.SortFunc(weights, func(a, b set) int { return a.override.Compare(b.override) })
	order := 0
	for i, s := range weights {
		if i > 0 && s.override.Compare(weights[i-1].override) != 0 {
			order++
		}
		all[s.demand].Set = eligibility.SetWeight{Is: true, Weight: s.override.WeightOrOwn(), Order: order}
	}
}

// claims reports whether the ring keeps room for a host, also while the host is out of the
// ring. It keeps none for a host that has only announced itself, because such a host may
// not exist, and none for one that announces the address of a balancer.
func (m *machine) claims(h *host) bool {
	if h.Leaving || m.isAtPeer(h) {
		return false
	}
	override, ok := m.registers.Weight(h.Name)
	return h.listed() || h.proven || ok && override.Weight != nil
}

// capacityAlarms returns the alarms about hosts and weights for which there is no room, and what
// to do.
func capacityAlarms(r eligibility.Capacity) (all []string) {
	if len(r.Out) > 0 {
		all = append(all, "the ring has no room for "+route.ShortList(r.Out)+", so no new users get there: give hosts less weight, or give each host an id that no other has")
	}
	if len(r.Excess) > 0 {
		all = append(all, "the ring has no room for the weights that operators have set for "+route.ShortList(r.Excess)+", so these weights aren't in force: set smaller weights, or give the hosts their own weights back (lb ctl weight NAME own)")
	}
	return all
}

// noticeFor is how long an alarm says that other hosts serve the keys of hosts that
// vanished together.
const noticeFor = 15 * time.Minute

// freezing is the freeze of the ring, and what operators have to know of it.
type freezing struct {
	freeze   eligibility.Freeze
	gone     []string // the hosts of the ring that vanished together
	expiries uint64   // of freezes
	notice   handed.Notice
}

// noteFreeze logs how the freeze has changed, and updates the notice. It returns when the
// notice ends; zero if there is none.
func (m *machine) noteFreeze(before eligibility.Freeze, now time.Time) (next time.Time) {
	f := m.freeze
	m.gone = m.vanished(before, now)
	if before.Frozen {
		m.noteThaw(before, now)
	}
	switch {
	case f.Frozen && !f.Since.Equal(before.Since): // the ring has frozen, or has frozen again at once
		if !before.Frozen {
			m.notice = handed.Notice{}
		}
		m.gone = m.vanished(eligibility.Freeze{}, now)
		m.logVanished(zerolog.ErrorLevel, m.gone, f.Ring).Time("until", f.Until).Msg("too many hosts of the ring vanished at once: the ring is frozen")
	case f.TooSmall && !before.TooSmall:
		m.notice = handed.Notice{NoticeAt: now, NoticeHosts: m.gone, NoticeWhy: fmt.Sprintf("a ring of fewer than %d hosts isn't frozen while some of them pass their checks", m.delays.Freeze.MinHosts)}
		m.logVanished(zerolog.ErrorLevel, m.gone, f.Ring).Msg("too many hosts of the ring vanished at once: the ring is too small to be frozen, and the hosts that are left serve their tokens")
	case f.TooSmall:
		m.notice.NoticeHosts = m.gone
	}
	if now.Sub(m.notice.NoticeAt) >= noticeFor || !slices.ContainsFunc(m.notice.NoticeHosts, m.stillMissing) {
		m.notice = handed.Notice{}
		return time.Time{}
	}
	return m.notice.NoticeAt.Add(noticeFor)
}

// noteThaw logs that a freeze has ended, if it has. The notice doesn't name hosts for
// which the ring has frozen again at once.
func (m *machine) noteThaw(before eligibility.Freeze, now time.Time) {
	f := m.freeze
	switch {
	case !f.Expired.Equal(before.Expired):
		var again []string
		if f.Frozen {
			again = m.vanished(eligibility.Freeze{}, now)
		}
		hosts := slices.DeleteFunc(slices.Clone(m.gone), func(host string) bool { return slices.Contains(again, host) })
		m.expiries++
		m.notice = handed.Notice{NoticeAt: now, NoticeHosts: hosts, NoticeWhy: fmt.Sprintf("the freeze of the ring ended after %v, and they had not returned", m.delays.Freeze.For)}
		m.logVanished(zerolog.ErrorLevel, hosts, before.Ring).Msg("the freeze of the ring has ended because its time is over: other hosts serve the tokens of the hosts that vanished")
	case !f.Frozen:
		m.logVanished(zerolog.InfoLevel, m.gone, before.Ring).Msg("the ring has thawed")
	}
}

// logVanished begins a log line about hosts that vanished. ring is how many hosts the
// ring had.
func (m *machine) logVanished(level zerolog.Level, hosts []string, ring int) *zerolog.Event {
	return m.log.WithLevel(level).Strs("hosts", hosts).Int("vanished", len(hosts)).Int("ring", ring)
}

// vanished returns the names of the hosts of the ring that vanished together. If before
// is frozen, it counts as the freeze of now.
func (m *machine) vanished(before eligibility.Freeze, now time.Time) []string {
	f := m.freeze
	if before.Frozen {
		f = before
	}
	start := f.WindowStart(now, m.delays)
	return m.names(func(h *host) bool {
		fails := h.ballot.Assessed() == route.Down || f.Frozen && h.ballot.Assessed() == route.Unchecked
		return fails && h.eligibility.InRing && h.eligibility.FailingSince.After(start)
	})
}

// stillMissing reports whether a host is ready and doesn't pass its checks, or is
// forgotten.
func (m *machine) stillMissing(host string) bool {
	h := m.find(host)
	return h == nil || h.ballot.Assessed() != route.Up && m.adminState(h).State == route.Ready
}

// together says that a balancer vanished with the hosts, if that has frozen the ring.
func together(f eligibility.Freeze) string {
	if !f.WithPeer {
		return ""
	}
	return " together with a balancer"
}

// freezeAlarm returns the alarm that the ring is frozen, or the notice, and what to do. It
// is "" if there is neither.
func (m *machine) freezeAlarm() string {
	const gone = "put hosts that are gone for good in maintenance (lb ctl maint NAME)"
	if f := m.freeze; f.Frozen {
		return fmt.Sprintf("%d of the %d hosts that were up vanished at once (%s)%s: the ring is frozen until %s at the latest, and tokens of these hosts get 503. "+
			"It thaws when they return or when new hosts that pass their checks replace them; %s",
			f.Gone, f.Ring, route.ShortList(m.gone), together(f), f.Until.UTC().Format(time.RFC3339), gone)
	}
	if n := m.notice; len(n.NoticeHosts) > 0 {
		return fmt.Sprintf("%d hosts of the ring vanished at once (%s), and since %s other hosts serve their tokens: %s. "+
			"If the vanished hosts still run and only the network is broken, a user may be on two hosts: stop these hosts or repair the network; %s",
			len(n.NoticeHosts), route.ShortList(n.NoticeHosts), n.NoticeAt.UTC().Format(time.RFC3339), n.NoticeWhy, gone)
	}
	return ""
}

// A verdictsEvent has what peers say of hosts.
type verdictsEvent []votes.Entry

// apply takes the votes in, and passes on what is new: two peers may not hear each other. Who speaks
// with the boot of an earlier process is told of it.
func (e verdictsEvent) apply(m *machine, _ time.Time) (news bool) {
	for _, entry := range e {
		if entry.By == m.name {
			news = m.council.Refute(entry.Boot) || news
			continue
		}
		if m.council.Take(entry) {
			m.effects.verdicts = append(m.effects.verdicts, entry)
			news = true
		} else if later, ok := m.council.Outdates(entry); ok {
			m.effects.verdicts = append(m.effects.verdicts, later)
		}
	}
	return news
}

// vote decides which hosts are down, and has peers told what the checks here say. It returns
// when a decision may change though nothing happens; zero if none will.
func (m *machine) vote(now time.Time) (next time.Time) {
	patience := m.delays.Freeze.For // so long, a balancer that is lost may reach hosts
	if m.delays.Freeze.IsOff() {
		patience = 0
	}
	next = m.council.Call(m.announced, m.expected, patience, now)
	all := make([]votes.HostVote, len(m.hosts))
	damping := m.dampings(now)
	for i, h := range m.hosts {
		all[i].Host = h.Name
		before, own := h.ballot, h.ballot.Vote(h.vote(), damping[i], now)
		if m.registers.State(h.Name).State == route.Maint { // it isn't checked
			h.ballot = votes.Ballot{Decision: votes.Decision{Verdict: h.check.Verdict}}
			continue
		}
		told, at := m.council.Count(&h.ballot, h.Name, own, now)
		next = moment.Earliest(next, at)
		next = moment.Earliest(next, h.ballot.NoteTraffic(&told, h.terminals(), now))
		all[i].Vote = told
		m.logBallot(h, before)
	}
	if whole, changed := m.council.Say(m.name, all, now); len(whole) > 0 {
		m.effects.said = whole
		m.effects.verdicts = append(m.effects.verdicts, changed...)
	}
	return next
}

// dampings returns, by the index of each host, for how long the host must be steady if it was voted
// down and returns; 0 if its keys can't wait for that, or if they have waited for it. It excuses
// hosts that are new or that operators bring back. If more hosts wait than serve, an
// outage is worse than a host that flaps.
func (m *machine) dampings(now time.Time) []time.Duration {
	all := make([]time.Duration, len(m.hosts))
	serving, waiting := 0, 0
	for _, h := range m.hosts {
		state := m.adminState(h).State
		if !h.proven || state == route.Ready && h.stateBefore != route.Ready && h.stateBefore != "" {
			h.ballot.Excuse()
		}
		h.stateBefore = state
		switch {
		case state != route.Ready || h.Leaving:
		case h.ballot.Assessed() == route.Up && h.eligibility.InRing:
			serving++
		case h.ballot.VotedDown && h.check.Verdict == route.Up:
			waiting++
		}
	}
	for i, h := range m.hosts {
		if waiting <= serving && !m.keptFor(h, now) {
			all[i] = m.damping
		}
	}
	return all
}

// keptFor reports whether a frozen ring has kept its keys for h until now, or until other hosts
// returned a short while ago.
func (m *machine) keptFor(h *host, now time.Time) bool {
	f := m.freeze
	return h.KeysKept && (f.Frozen || !f.Thawed.Equal(f.Expired) && now.Sub(f.Thawed) < returnWindow)
}

// logBallot logs that balancers have begun or ceased to differ about h, if that changes what
// becomes of its keys, or has lasted.
func (m *machine) logBallot(h *host, before votes.Ballot) {
	b := h.ballot
	line := func(level zerolog.Level) *zerolog.Event {
		return m.log.WithLevel(level).Str("host", h.Name).Stringer("here", h.check.Verdict).Str("up_at", b.Views.Up).Str("down_at", b.Views.Down).Int("balancers", m.council.Known())
	}
	switch {
	case b.AwaitsGate && !before.AwaitsGate:
		line(zerolog.WarnLevel).Dur("wait", m.fenceWait).Msg("a majority of the balancers has a host down: its tokens get 503 until its gate has closed its terminals")
	case b.Held && !before.Held:
		line(zerolog.WarnLevel).Msg("the checks of a host fail here, and too few balancers say that it is down: its tokens get 503 here")
	case b.Outvoted && !before.Outvoted:
		line(zerolog.WarnLevel).Msg("other balancers say that a host is down, and its checks pass here: other hosts serve its tokens")
	case b.Traffic && !before.Traffic:
		line(zerolog.WarnLevel).Msg("the checks of a host fail, and its terminals here work: their tokens stay there")
	case b.Held != before.Held || b.Outvoted != before.Outvoted:
		line(zerolog.WarnLevel).Stringer("verdict", b.Verdict).Msg("the verdict on a host is one again")
	}
	if !b.ReturnsAt.IsZero() && before.ReturnsAt.IsZero() {
		m.log.Info().Str("host", h.Name).Time("returns_at", b.ReturnsAt).Msg("a host that was down passes its checks: it gets its tokens back when it is steady")
	}
	if b.Raised && !before.Raised {
		line(zerolog.ErrorLevel).Time("since", b.Disputed).Msg("balancers have different verdicts on a host")
	}
}

// disputeAlarm returns the alarm about hosts on which balancers have different verdicts, ""
// if there are none.
func (m *machine) disputeAlarm() string {
	var list []string
	for _, h := range m.hosts {
		if h.ballot.Raised {
			here := h.check.Verdict
			if !h.ballot.ReturnsAt.IsZero() {
				here = route.Down
			}
			list = append(list, fmt.Sprintf("%s is %s, since %s", h.Name, h.ballot.Views.Text(here), h.ballot.Disputed.UTC().Format(time.RFC3339)))
		}
	}
	if len(list) == 0 {
		return ""
	}
	return "balancers have different verdicts on hosts: " + route.ShortList(list) +
		". A balancer that can't reach a host which others reach answers 503 for its tokens: look at the network between them"
}

// severed returns why this balancer shouldn't get clients: it can't reach most of the hosts
// that balancers reach, and another one reaches more. It is "" if it should. It is never so
// with all balancers.
func (m *machine) severed() string {
	reached, held := 0, 0
	at := map[string]int{} // how many hosts others reach, by name
	for _, h := range m.hosts {
		if b := h.ballot; h.eligibility.InRing && (b.Verdict == route.Up || b.Reached) {
			reached++
			if b.Held {
				held++
			}
			for _, name := range route.Names(b.Views.Up) {
				at[name]++
			}
		}
	}
	maps.DeleteFunc(at, func(_ string, n int) bool { return n <= reached-held })
	if 2*held <= reached || len(at) == 0 {
		return ""
	}
	return fmt.Sprintf("this balancer can't reach %d of the %d hosts that balancers reach (%s: more than this one)", held, reached, route.ShortList(slices.Sorted(maps.Keys(at))))
}
