package pool

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"tokenring/balancer"
	"tokenring/loglimit"
	"tokenring/peers"
	"tokenring/pool/conflict"
	"tokenring/pool/moment"
	"tokenring/route"
)

// AnnounceLimits are how much a host may announce. All balancers need the same.
type AnnounceLimits struct {
	// MaxWeight is the greatest weight that the hosts of one machine may have together by
	// their own announcements. Default 0: 8 times the median of what the hosts of each
	// machine announce together, at least 8.
	MaxWeight int `yaml:"max_weight"`
	// MaxHostsPerAddress is how many hosts may announce services at one IP address.
	// Default 8.
	MaxHostsPerAddress int `yaml:"max_hosts_per_address"`
}

// maxHostsPerAddress is the default of AnnounceLimits.
const maxHostsPerAddress = 8

// yieldAfter is how long gossip must have lost a host before another host gets what both
// announce. A host that replaces a crashed one waits so long.
const yieldAfter = 30 * time.Second

// conflicts are what hosts announce that they can't have, because other hosts have it or
// because it is too much.
type conflicts struct {
	conflict.Result
	conflictLines loglimit.Limiter // of the log, by host
}

// resolveConflicts finds the conflicts between the hosts for which the ring keeps room. It
// returns when time alone may change the result, zero if it can't.
func (m *machine) resolveConflicts(now time.Time) (next time.Time) {
	hosts, next := m.conflictHosts(now)
	before := m.conflicts.Result
	m.conflicts.Result = conflict.Resolve(hosts, conflict.Rules{
		MaxWeight: m.limits.MaxWeight,
		MaxHosts:  m.limits.MaxHostsPerAddress,
		UniqueIDs: m.hash.Policy == balancer.PolicyHAProxy,
	})
	m.logConflicts(before, now)
	return moment.Earliest(next, m.tellPrecedence(now))
}

// conflictHosts returns what conflict.Resolve has to know of the hosts. It also returns when
// a host that gossip has lost begins to yield to others, zero if none will.
func (m *machine) conflictHosts(now time.Time) (all []conflict.Host, next time.Time) {
	all = make([]conflict.Host, 0, len(m.hosts))
	for _, h := range m.hosts {
		override, _ := m.registers.Weight(h.Name)
		c := conflict.Host{
			Name: h.Name, Address: h.address, ID: h.ID, Weight: h.Weight, Machine: h.machine(),
			Static:    h.configured() && !h.Leaving,
			Operator:  h.origin == route.OriginOperator,
			Claims:    m.claims(h),
			Proven:    !h.Leaving && (h.listed() || h.proven),
			WeightSet: override.WeightOrOwn() != route.OwnWeight || h.origin == route.OriginOperator,
			Maint:     m.registers.State(h.Name).State == route.Maint,
			Up:        h.check.Verdict == route.Up,
			Since:     m.hasSince(h),
		}
		if h.isAway() {
			due := h.lostAt.Add(yieldAfter)
			c.Away = !now.Before(due)
			if c.Claims && !c.Static && !c.Maint && !c.Away {
				next = moment.Earliest(next, due)
			}
		}
		all = append(all, c)
	}
	return all, next
}

// hasSince returns since when a host has been in the ring with the address and the id that
// it announces now, as far as this balancer or its peers know; zero if it never was.
func (m *machine) hasSince(h *host) time.Time {
	p := m.registers.Precedence(h.Name)
	if p.Address == h.address && p.ID == h.ID && (h.since.IsZero() || p.Since.Before(h.since)) {
		return p.Since
	}
	return h.since
}

// tellPrecedence tells the peers since when hosts have had what others announce, too, so
// that all balancers have the same order. It returns when to do so for hosts that are about
// to get it.
func (m *machine) tellPrecedence(now time.Time) (next time.Time) {
	var news []peers.Register
	for _, host := range slices.Sorted(maps.Keys(m.Contested)) {
		h := m.find(host)
		if h.since.IsZero() {
			next = now.Add(time.Second)
			continue
		}
		p := m.registers.Precedence(host)
		if same := p.Address == h.address && p.ID == h.ID; same && !h.since.Before(p.Since) {
			continue
		} else if !same {
			p.Number++
		}
		p.Host, p.Address, p.ID, p.Since = host, h.address, h.ID, h.since
		if r, err := p.Register(); err != nil {
			m.log.Error().Err(err).Str("host", host).Msg("peers can't be told since when a host has had its address")
		} else if m.registers.Merge(r, now) {
			news = append(news, r)
		}
	}
	m.save(news, now)
	return next
}

// machine returns what hosts of one machine have in common: the IP address of their
// services. Operators know the hosts that are listed, and each of these is for itself.
// So is each host at 127.0.0.1 or ::1, where a whole region is one machine: a demo or a
// test. Other addresses of loopback stand for machines.
func (h *host) machine() string {
	if h.onMachine == "" {
		at, err := netip.ParseAddrPort(h.address)
		switch {
		case h.listed() || err != nil:
			h.onMachine = "host " + h.Name
		case at.Addr() == netip.IPv6Loopback(), at.Addr() == netip.AddrFrom4([4]byte{127, 0, 0, 1}):
			h.onMachine = h.address
		default:
			h.onMachine = at.Addr().String()
		}
	}
	return h.onMachine
}

// isAway reports whether gossip has known the host, and has it no longer. Anybody with the
// pool's secret can make gossip lose a host: one that signs, and so is known again, isn't
// away as long as its checks pass.
func (h *host) isAway() bool {
	return h.contact.IsLost() && !(h.IsSigned() && h.check.Verdict == route.Up)
}

// own returns h as a table has it, with its own weight as far as that counts.
func (m *machine) own(h *host) balancer.Host {
	own := h.TableHost()
	if weight, ok := m.Limited[h.Name]; ok {
		own.Weight = weight
	}
	return own
}

// counted returns the weight that h has, or would have if no operator had set one.
func (m *machine) counted(h *host) int {
	if weight, ok := m.Unset[h.Name]; ok {
		return weight
	}
	return m.own(h).Weight
}

// logConflicts logs the conflicts that weren't there before. A host may announce something
// else all the time, so it logs each host rarely.
func (m *machine) logConflicts(before conflict.Result, now time.Time) {
	for _, h := range m.hosts {
		why, old := m.conflictOf(h), before.Of(h.Name)
		if why == old {
			continue
		}
		if why == "" {
			m.conflictLines.Lapse(h.Name, now)
		} else if f, log := m.conflictLines.Add(h.Name, now); log {
			f.On(m.log.Error()).Str("host", h.Name).Str("gossip", h.gossipAt()).Str("address", h.address).Uint32("id", h.ID).Int("weight", h.Weight).
				Int("max_weight", m.MaxWeight).Str("why", why).Msg("a host announces what it can't have")
		}
	}
}

// conflictOf returns which conflict a host is in, "" for none. Operators know of hosts in
// maintenance: these count as in none.
func (m *machine) conflictOf(h *host) string {
	if m.registers.State(h.Name).State == route.Maint {
		return ""
	}
	return m.Of(h.Name)
}

// gossipAt returns the address of the host's gossip, "" if it is unknown.
func (h *host) gossipAt() string {
	if !h.gossip.IsValid() {
		return ""
	}
	return h.gossip.String()
}

// conflictAlarms returns the alarms about what hosts announce and can't have, and what to
// do. About hosts in maintenance there are none.
func (m *machine) conflictAlarms() (all []string) {
	named := map[string][]string{} // by why they are barred
	for _, h := range m.hosts {
		if why := m.conflictOf(h); why != "" && h.gossip.IsValid() {
			named[why] = append(named[why], h.Name+" (gossip from "+h.gossipAt()+")")
		} else if why != "" {
			named[why] = append(named[why], h.Name)
		}
	}
	for _, alarm := range []struct{ why, text string }{
		{route.WhyAddress, "%s announced the service address of another host, which keeps it: find out which machine this is; if it replaces the other host, put that one in maintenance (lb ctl maint NAME)"},
		{route.WhyID, "%s announced the id of another host, which keeps it: give each host an id that no other has"},
		{route.WhyAtAddress, "there are too many hosts at the IP address of %s: find out which machine this is; if it has so many hosts, raise pool.max_hosts_per_address on all balancers"},
		{route.WhyMaxWeight, fmt.Sprintf("%%s announced more weight than the %d that the hosts of one machine may have together, and got less: "+
			"set pool.max_weight on all balancers, or the weight of the host (lb ctl weight NAME N)", m.MaxWeight)},
	} {
		if names := named[alarm.why]; len(names) > 0 {
			all = append(all, fmt.Sprintf(alarm.text, route.ShortList(names)))
		}
	}
	return all
}

// peerAddresses returns the addresses where peers listen, as far as that is known: at the
// IP address of its gossip, a peer has the port of that gossip and the ports at which this
// balancer listens. Balancers of one region are alike, as a rule.
func peerAddresses(all []route.Peer, ports []uint16) map[string]bool {
	addresses := map[string]bool{}
	for _, p := range all {
		at, err := netip.ParseAddrPort(p.Address)
		if err != nil {
			continue
		}
		addresses[at.String()] = true
		for _, port := range ports {
			addresses[netip.AddrPortFrom(at.Addr(), port).String()] = true
		}
	}
	return addresses
}

// isAtPeer reports whether the service address of h is a peer's. A balancer passes the
// checks of a host, and would be served to users. The hosts that are listed are where
// operators want them.
func (m *machine) isAtPeer(h *host) bool { return !h.listed() && m.peersListen[h.address] }

// peerAddressAlarm returns an alarm about the hosts that announce addresses of peers, ""
// if there are none.
func (m *machine) peerAddressAlarm() string {
	names := m.names(m.isAtPeer)
	if len(names) == 0 {
		return ""
	}
	return route.ShortList(names) + " announced the address of a balancer, and gets no users: find out which machine this is"
}
