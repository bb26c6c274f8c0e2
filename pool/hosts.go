package pool

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/pool/eligibility"
	"tokenring/pool/handed"
	"tokenring/pool/moment"
	"tokenring/pool/votes"
	"tokenring/resolver"
	"tokenring/route"
)

// A host is what is known about one host.
type host struct {
	announcement.Metadata // from its announcement or a list; the address may be a DNS name
	origin                route.Origin
	by                    route.Attribution // which operator has added it; zero for other origins
	several               bool              // the DNS name has several addresses
	gossip                netip.AddrPort    // where its gossip is, by what memberlist says; zero if unknown
	proven                bool              // it has passed a check, or it was in the ring when the last run of this balancer ended
	contact               route.Contact
	lostAt                time.Time // when contact became Lost or Missing, or the host was removed from its list
	unmet                 bool      // contact is that of another process, and gossip hasn't met the host in this one: see handover
	gauges                *route.Gauges

	location
	changes     addressChanges
	stateBefore route.State // as of the last vote; "" before the first
	ballot      votes.Ballot
	eligibility eligibility.Eligibility
	waits       bool // it is up again, and its keys stay elsewhere: see absent
	handed.Service
}

// A location is the address of a host, and the result of checks there.
type location struct {
	address   string      // ip:port of its machine; "" until its name has resolved
	onMachine string      // see host.machine; "" until it is asked for
	since     time.Time   // when it first was in the ring with this address and its id; zero if it never was
	moved     time.Time   // when the host got this address; older results are about another address
	moving    bool        // it served at its last address, and no check of this address has counted yet
	check     CheckResult // the last result for this address
	passed    bool        // a check of this address has passed since this balancer began
	failing   time.Time   // when the first one of the checks ended that have failed since; zero if they pass
}

// A CheckResult is what a health check has found out about a host.
type CheckResult struct {
	Address string        // ip:port that was checked; the result is about no other address
	Verdict route.Verdict // Unchecked if no check of this address has counted yet
	Error   string        // why the check failed, "" if it passed; it has no bytes of the host's answer
	Refused bool          // the host's machine refuses connections
	Gate    bool          // a gate stands before the host: see package gate
	At      time.Time     // when the check ended
}

// vote returns the last check as the votes take it.
func (l location) vote() votes.Check {
	return votes.Check{Verdict: l.check.Verdict, Refused: l.check.Refused, Passed: l.passed, Failed: l.check.Error != "", At: l.check.At}
}

// membersEvent has the members of the gossip of hosts and balancers.
type membersEvent struct {
	members map[string]gossip.Member // by node
	joined  bool                     // the first attempt to join is over
}

// apply compares the hosts with the members. A host that is no longer a member is lost.
func (e membersEvent) apply(m *machine, now time.Time) bool {
	m.joined = e.joined
	for _, node := range slices.Sorted(maps.Keys(e.members)) { // sorted, so that the same events always have the same effects
		member := e.members[node]
		if member.Metadata.Role == announcement.HostRole && !member.Cached {
			m.update(member, now)
		}
	}
	for _, h := range m.hosts {
		member, ok := e.members[h.Node()]
		if h.listed() || h.unmet || ok && !member.Lost || h.contact.IsLost() {
			continue
		}
		h.contact, h.lostAt = route.Lost, now
		if h.Leaving {
			m.log.Info().Str("host", h.Name).Msg("host has left")
		} else {
			m.log.Warn().Str("host", h.Name).Msg("gossip has lost a host")
		}
	}
	return true
}

// update takes in the announcement of a member.
func (m *machine) update(member gossip.Member, now time.Time) {
	announced := member.Metadata
	h := m.find(announced.Name)
	switch {
	case h == nil:
		known := m.inLastRun(announced.Name)
		h = &host{Metadata: announced, gossip: member.Addr, contact: route.Alive, location: location{address: announced.Address}}
		if known.Spec.Address == announced.Address && known.Spec.ID == announced.ID {
			h.since, h.proven = known.Seen, true
		}
		if known.InRing {
			h.eligibility = m.remembered.Eligibility(h.Name)
		}
		m.add(h)
		m.noteAnnounced(h, known.Spec.Address, known.Gossip, now)
		m.came(announced.Name, now)
		m.log.Info().Str("host", announced.Name).Str("address", announced.Address).Int("weight", announced.Weight).Msg("host joined")
		return
	case h.listed() && !h.Leaving: // the admission filter refuses such a member
		return
	case h.listed():
		h.origin, h.by, h.onMachine, h.contact, h.lostAt = route.OriginGossip, route.Attribution{}, "", route.Alive, time.Time{}
		h.changes.clear()
		m.log.Info().Str("host", h.Name).Msg("a host that was listed goes on by what it announces")
	case h.contact == route.Missing:
		h.contact, h.lostAt, h.check, h.moved = route.Alive, time.Time{}, CheckResult{}, now
		m.log.Info().Str("host", h.Name).Msg("a missing host has come back")
	}
	h.unmet = false
	service, at := h.address, h.gossip
	m.move(h, announced.Address, now)
	if h.Weight != announced.Weight {
		m.log.Info().Str("host", h.Name).Int("from", h.Weight).Int("weight", announced.Weight).Msg("host announced another weight")
	}
	if announced.Leaving && !h.Leaving {
		m.log.Info().Str("host", h.Name).Msg("host is leaving")
	}
	if h.Leaving && !announced.Leaving {
		h.ballot.Excuse()
	}
	if h.ID != announced.ID {
		h.since = time.Time{}
	}
	drain := h.Drain
	h.Metadata, h.gossip = announced, member.Addr
	if h.Drain != drain {
		m.logDrain(h)
	}
	m.noteAnnounced(h, service, at, now)
	if !member.Lost && h.contact == route.Lost {
		h.contact, h.lostAt = route.Alive, time.Time{}
		m.log.Info().Str("host", h.Name).Msg("gossip has found a host again")
	}
}

// passedOnEvent has what hosts have announced whose agents are gone: a peer passes it on. It is
// verified.
type passedOnEvent []announcement.Metadata

// apply takes in hosts that gossip doesn't have, as lost ones: their checks say whether they
// serve.
func (e passedOnEvent) apply(m *machine, now time.Time) (news bool) {
	for _, announced := range e {
		h := m.find(announced.Name)
		if h != nil && h.contact != route.Missing {
			continue
		}
		m.update(gossip.Member{Metadata: announced, Addr: announced.Gossip}, now)
		h = m.find(announced.Name)
		h.contact, h.lostAt, news = route.Lost, now, true
		m.log.Info().Str("host", h.Name).Str("address", h.address).Msg("a peer knows a host that gossip has lost")
	}
	return news
}

// unresolvedWhy is why a host counts as down if no address of its name is known.
const unresolvedWhy = "its name doesn't resolve"

// addressesEvent has the addresses to which the names of hosts resolve, by host.
type addressesEvent map[string]resolver.Address

func (e addressesEvent) apply(m *machine, now time.Time) bool {
	for _, name := range slices.Sorted(maps.Keys(e)) {
		found, h := e[name], m.find(name)
		if h == nil {
			continue
		}
		h.several = found.Several
		switch {
		case found.Address != "":
			before := h.address
			m.move(h, found.Address, now)
			m.noteResolved(h, before, now)
		case found.Failing && h.check.Verdict == route.Unchecked:
			h.check = CheckResult{Verdict: route.Down, Error: unresolvedWhy, At: now}
		}
	}
	return true
}

// checksEvent has results of health checks: the newest of each host.
type checksEvent map[string]CheckResult

// apply reports whether any result is new. Most results aren't, because there is a result
// after each check. apply ignores a result about another address than the host's. A check
// that doesn't count changes only the error of an unchecked host, and no verdict.
func (e checksEvent) apply(m *machine, _ time.Time) (news bool) {
	for _, name := range slices.Sorted(maps.Keys(e)) {
		result, h := e[name], m.find(name)
		if h == nil || h.contact == route.Missing || result.Address != h.address || result.At.Before(h.moved) {
			continue
		}
		if result.Verdict == route.Unchecked && h.check.Verdict != route.Unchecked {
			continue
		}
		news = news || h.check.Verdict != result.Verdict || h.check.Error != result.Error || h.check.Refused != result.Refused || h.check.Gate != result.Gate
		if h.check.Verdict != result.Verdict {
			m.log.Info().Str("host", name).Stringer("verdict", result.Verdict).Str("why", result.Error).Msg("the verdict about a host has changed")
		}
		h.check = result
		if result.Error == "" {
			h.failing = time.Time{}
		} else {
			h.failing = moment.OrElse(h.failing, result.At)
		}
		h.passed = h.passed || result.Verdict == route.Up
		h.proven = h.proven || h.passed
		h.moving = h.moving && result.Verdict == route.Unchecked
	}
	return news
}

// terminals returns what this balancer sees of the terminals on h. After a handover it isn't
// known when the checks began to fail, only when they had failed often enough.
func (h *host) terminals() votes.Terminals {
	return votes.Terminals{Open: h.gauges.Sessions.Load() > 0, LastByte: h.gauges.LastByte.At(), Failing: moment.OrElse(h.failing, h.ballot.FailedAt)}
}

// moveGrace is the longest time for which the keys of a host wait that has moved. Then
// they go to other hosts, as if its checks had failed.
const moveGrace = 3 * time.Second

// changeAlarm is how long an alarm says that a host has got another address.
const changeAlarm = 5 * time.Minute

// addressChanges are the other addresses that a host has got though no operator has written
// them down. Whoever has the host's key, or its DNS name, can send its users elsewhere so.
type addressChanges struct {
	service handed.AddressChange // announced, or what the DNS name of a listed host leads to
	gossip  handed.AddressChange // announced
	renamed bool                 // a list has another DNS name for the host, and the name hasn't resolved since
	counts  route.AddressChanges
}

// clear forgets the changes, because operators have written down where the host is, or that
// it announces that. What is counted stays.
func (c *addressChanges) clear() { *c = addressChanges{counts: c.counts} }

// move sets another address of h. The last result is about the old address, so h is
// unchecked until the first check of the new address.
func (m *machine) move(h *host, address string, now time.Time) {
	if h.address == address {
		return
	}
	h.location = location{address: address, moved: now, moving: h.Serving}
}

// endMoves ends the moves that have lasted for moveGrace: the keys wait no longer. It also
// ends the alarms about changes. It returns when it has to do so next; zero if there are
// neither.
func (m *machine) endMoves(now time.Time) (next time.Time) {
	for _, h := range m.hosts {
		if h.moving {
			due := h.moved.Add(moveGrace)
			if h.moving = now.Before(due); h.moving {
				next = moment.Earliest(next, due)
			}
		}
		next = moment.Earliest(next, endChange(&h.changes.service, now))
		next = moment.Earliest(next, endChange(&h.changes.gossip, now))
	}
	return next
}

// endChange removes a change that is old, and returns when it will be; zero if there is none.
func endChange(c *handed.AddressChange, now time.Time) time.Time {
	if c.At.IsZero() {
		return time.Time{}
	}
	due := c.At.Add(changeAlarm)
	if !now.Before(due) {
		*c = handed.AddressChange{}
		return time.Time{}
	}
	return due
}

// noteAnnounced takes note of the addresses that h has announced, if they were others
// before. An address that is unknown is "" or the zero value.
func (m *machine) noteAnnounced(h *host, service string, gossip netip.AddrPort, now time.Time) {
	moved := service != "" && service != h.address
	gossips := gossip.IsValid() && h.gossip.IsValid() && gossip != h.gossip
	if moved {
		h.changes.service = handed.AddressChange{From: service, At: now}
		h.changes.counts.Service++
	}
	if gossips {
		h.changes.gossip = handed.AddressChange{From: gossip.String(), At: now}
		h.changes.counts.Gossip++
	}
	if !moved && !gossips {
		return
	}
	if f, log := m.changeLines.Add(h.Name, now); log {
		line := f.On(m.log.Warn()).Str("host", h.Name).Str("address", h.address).Str("gossip", h.gossipAt())
		if moved {
			line.Str("from", service)
		}
		if gossips {
			line.Str("gossip_from", gossip.String())
		}
		line.Msg("a host announced another address")
	}
}

// noteResolved takes note of the address to which the name of h leads, if it led to another
// one before.
func (m *machine) noteResolved(h *host, before string, now time.Time) {
	renamed := h.changes.renamed
	h.changes.renamed = false
	switch {
	case before == h.address:
	case before == "":
		m.log.Info().Str("host", h.Name).Str("name", h.Address).Str("address", h.address).Msg("the name of a host resolves")
	case renamed:
		m.noteListed(h, before)
	default:
		h.changes.service = handed.AddressChange{From: before, At: now}
		h.changes.counts.Name++
		if f, log := m.changeLines.Add(h.Name, now); log {
			f.On(m.log.Warn()).Str("host", h.Name).Str("name", h.Address).Str("from", before).Str("address", h.address).Msg("the name of a host leads to another address")
		}
	}
}

// noteListed logs that h has another address because operators have changed a list.
func (m *machine) noteListed(h *host, before string) {
	if before != h.address {
		m.log.Info().Str("host", h.Name).Str("from", before).Str("address", h.address).Msg("a list has another address for a host")
	}
}

// changeAlarms returns the alarms about hosts that have got another address lately, and what
// to do. Operators know of hosts in maintenance: about these there are none.
func (m *machine) changeAlarms() (all []string) {
	var announced, resolved []string
	for _, h := range m.hosts {
		switch c := h.changes; {
		case c.service == handed.AddressChange{} && c.gossip == handed.AddressChange{}:
		case m.registers.State(h.Name).State == route.Maint:
		case h.listed():
			resolved = append(resolved, fmt.Sprintf("%s (%s, before %s)", h.Name, h.address, c.service.From))
		default:
			announced = append(announced, h.describeChange())
		}
	}
	if len(announced) > 0 {
		all = append(all, "in the last 5 minutes another address was announced for "+route.ShortList(announced)+
			": find out whether this is a machine that you know; if it isn't, put the host in maintenance (lb ctl maint NAME)")
	}
	if len(resolved) > 0 {
		all = append(all, "in the last 5 minutes the DNS name led to another address for "+route.ShortList(resolved)+
			": find out whether the name was changed on purpose; if it wasn't, put the host in maintenance (lb ctl maint NAME)")
	}
	return all
}

// describeChange returns the name of a host, and the addresses that it has announced now and
// before.
func (h *host) describeChange() string {
	var parts []string
	if from := h.changes.service.From; from != "" {
		parts = append(parts, fmt.Sprintf("service at %s, before %s", h.address, from))
	}
	if at := h.gossipAt(); at != "" {
		parts = append(parts, "gossip from "+at)
	}
	if from := h.changes.gossip.From; from != "" {
		parts[len(parts)-1] += ", before " + from
	}
	return h.Name + " (" + strings.Join(parts, "; ") + ")"
}
