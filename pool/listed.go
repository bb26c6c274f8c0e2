package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tokenring/balancer"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/pool/hostlist"
	"tokenring/resolver"
	"tokenring/route"
)

// A hostsEvent has all hosts that one list has now.
type hostsEvent struct {
	origin  route.Origin
	hosts   []hostlist.Host
	err     error                    // why the list can't be used; hosts is nil, and the ones before stay
	members map[string]gossip.Member // of the gossip, by node: a host may go on as one of them
}

// apply compares the hosts with the list. A host that isn't in it any more, and in no other,
// leaves.
func (e hostsEvent) apply(m *machine, now time.Time) bool {
	if e.err != nil {
		m.log.Error().Err(e.err).Msg("pool.hosts_file can't be used: the hosts before stay in force")
		m.files.hosts = e.err.Error()
		return true
	}
	if e.origin == route.OriginFile {
		m.files.hosts = ""
		m.log.Info().Int("hosts", len(e.hosts)).Msg("pool.hosts_file has been read")
	}
	m.replaceList(e, now)
	return true
}

// replaceList replaces the hosts of one list.
func (m *machine) replaceList(e hostsEvent, now time.Time) {
	for _, name := range m.lists.Set(e.origin, e.hosts) {
		listed, origin := m.lists.Find(name)
		switch h := m.find(name); {
		case origin != route.OriginGossip:
			m.list(listed, origin, now)
		case h != nil && h.listed() && !h.Leaving:
			m.unlist(h, e.members[h.Node()], now)
		}
	}
	m.effects.listed = m.listedSpecs()
}

// listed reports whether the host is known from a list, not by what it announces.
func (h *host) listed() bool { return h.origin != route.OriginGossip }

// configured reports whether the host is in the config file or in pool.hosts_file.
func (h *host) configured() bool { return h.origin >= route.OriginDNS }

// isRemoved reports whether the host was listed and isn't any more.
func (h *host) isRemoved() bool { return h.listed() && h.Leaving }

// isBackup reports whether the list that has h says that it is a backup. Operators and agents have
// none.
func (m *machine) isBackup(h *host) bool {
	listed, _ := m.lists.Find(h.Name)
	return h.listed() && listed.Backup
}

// list takes in what a list says of a host. Whatever the host itself announces doesn't count
// from now on.
func (m *machine) list(l hostlist.Host, origin route.Origin, now time.Time) {
	h := m.find(l.Name)
	if h == nil {
		h = &host{contact: route.NoGossip}
		h.Name = l.Name
		m.add(h)
	}
	if m.version > 0 && (h.origin != origin || h.Leaving || h.Spec != l.Spec) {
		m.log.Info().Str("host", l.Name).Str("origin", origin.String()).Str("address", l.Address).Int("weight", l.Weight).Msg("host listed")
	}
	if h.contact == route.Missing {
		h.check, h.moved = CheckResult{}, now
	}
	if h.origin != origin || h.Spec.Address != l.Address {
		h.changes.clear()
		h.changes.renamed = resolver.IsName(l.Address)
	}
	if !resolver.IsName(l.Address) {
		h.several = false
		m.setAddress(h, l.Address, now)
	}
	if h.ID != l.ID {
		h.since = time.Time{}
	}
	if h.Leaving {
		h.ballot.Excuse()
	}
	h.origin, h.by, h.onMachine = origin, l.By, ""
	h.contact, h.lostAt, h.gossip = route.NoGossip, time.Time{}, netip.AddrPort{}
	h.Metadata = announcement.Metadata{Role: announcement.HostRole, Spec: l.Spec}
}

// setAddress sets the address of a listed host, which needs no lookup.
func (m *machine) setAddress(h *host, address string, now time.Time) {
	if h.address == "" && h.check == (CheckResult{}) {
		h.address = address // it has never been anywhere else
		return
	}
	before := h.address
	m.move(h, address, now)
	m.noteListed(h, before)
}

// unlist takes a host out that no list has any more: it leaves, as if it had announced so.
// If it is a member of the gossip, it stays as that.
func (m *machine) unlist(h *host, member gossip.Member, now time.Time) {
	m.log.Info().Str("host", h.Name).Str("origin", h.origin.String()).Msg("host removed from the list")
	h.Leaving, h.lostAt = true, now
	if member.Metadata.Role == announcement.HostRole && !member.Lost && !member.Cached {
		m.update(member, now)
	}
}

// listedSpecs returns the hosts that are listed.
func (m *machine) listedSpecs() []route.Spec {
	all := make([]route.Spec, 0, len(m.hosts))
	for _, h := range m.hosts {
		if h.listed() && !h.Leaving {
			all = append(all, h.Spec)
		}
	}
	return all
}

// hostsAlarm returns the alarm about pool.hosts_file, "" if it is in use.
func (f fileAlarms) hostsAlarm() string {
	if f.hosts == "" {
		return ""
	}
	return "pool.hosts_file can't be used, and the hosts before stay in force: " + f.hosts
}

// setListed tells the gossip and the resolver which hosts are listed.
func (p *Pool) setListed(all []route.Spec) {
	names := make(map[string]bool, len(all))
	for _, h := range all {
		names[h.Name] = true
	}
	p.listed.Store(&names)
	p.resolver.Set(all)
}

// isListed reports whether a host is listed. It is safe for concurrent use.
func (p *Pool) isListed(host string) bool {
	one := p.ofHost(host)
	if one == nil {
		return false
	}
	names := one.listed.Load()
	return names != nil && (*names)[host]
}

// hostsChange is what an editEvent is in words.
const hostsChange = "the change of the hosts"

// errNotBegun is the answer to an edit that comes too early: another process has the file.
var errNotBegun = errors.New("nothing was changed: this balancer is just taking the place of another process; try again in a moment")

// EditHosts changes the hosts that operators have added to this balancer. It returns when the
// change is on disk, and the snapshot with it and with its table is published; or when ctx or
// Run ends. Its errors wrap route.ErrUnknownHost, or route.ErrHostEdit if the change can't be
// made: the host comes from elsewhere, it has what another one has, or there is no room.
// Other errors say how far the change has come, as those of Override do.
func (p *Pool) EditHosts(ctx context.Context, e route.HostEdit) error {
	return p.ask(ctx, request{edit: &e})
}

// edits are the changes of operators' hosts that aren't made yet, in order. While there is one,
// the first is being written to disk: so a change that is in force is always there.
type edits struct {
	waiting []editEvent
	writing []hostlist.Host // the hosts after the first
}

// editEvent is a request of an operator of this balancer.
type editEvent struct {
	id   uint64 // of the request
	edit route.HostEdit
}

// apply has the edit written to disk, after those that came before.
func (e editEvent) apply(m *machine, now time.Time) bool {
	if m.waiting {
		m.effects.answers = append(m.effects.answers, answer{e.id, errNotBegun})
		return false
	}
	if m.edits.waiting = append(m.edits.waiting, e); len(m.edits.waiting) == 1 {
		m.writeEdit(now)
	}
	return false
}

// writeEdit has the hosts written as they are after the first edit that can be made. It
// refuses those before.
func (m *machine) writeEdit(now time.Time) {
	for len(m.edits.waiting) > 0 {
		first := m.edits.waiting[0]
		hosts, err := m.edited(first.edit, now)
		if err == nil {
			m.edits.writing, m.effects.operators = hosts, hosts
			return
		}
		m.effects.answers = append(m.effects.answers, answer{first.id, err})
		m.edits.waiting = m.edits.waiting[1:]
	}
}

// editWrittenEvent has the result of writing the first edit to disk.
type editWrittenEvent struct {
	err     error
	members map[string]gossip.Member // as hostsEvent has them
}

// apply puts the edit in force if it is on disk.
func (e editWrittenEvent) apply(m *machine, now time.Time) bool {
	first, hosts := m.edits.waiting[0], m.edits.writing
	m.edits.waiting, m.edits.writing = m.edits.waiting[1:], nil
	if e.err != nil {
		m.log.Error().Err(e.err).Msg("the hosts that operators have added can't be written to disk, and stay as they were")
		m.effects.answers = append(m.effects.answers, answer{first.id, fmt.Errorf("nothing was changed: %s can't be written: %w", hostlist.FileName, e.err)})
	} else {
		m.replaceList(hostsEvent{origin: route.OriginOperator, hosts: hosts, members: e.members}, now)
		m.waiters = append(m.waiters, waiter{id: first.id, what: hostsChange})
	}
	m.resolveConflicts(now) // the next edit is judged by the hosts that there are now
	m.allocate()
	m.writeEdit(now)
	return true
}

// edited returns the hosts that operators have added, sorted by name, as they are after e.
// They are never nil.
func (m *machine) edited(e route.HostEdit, now time.Time) ([]hostlist.Host, error) {
	list := maps.Clone(m.lists[route.OriginOperator])
	if list == nil {
		list = map[string]hostlist.Host{}
	}
	before, mine := list[e.Name]
	switch {
	case e.Action == route.RemoveHost && mine:
		delete(list, e.Name)
	case m.isElsewhere(e.Name):
		return nil, m.elsewhere(e.Name)
	case e.Action == route.AddHost && mine:
		return nil, fmt.Errorf("%w: an operator has added %s already; lb ctl hosts set %[2]s changes it", route.ErrHostEdit, e.Name)
	case e.Action != route.AddHost && !mine:
		return nil, route.ErrUnknownHost
	default:
		spec := e.Of(before.Spec)
		if err := cmp.Or(m.checkUnique(spec), m.checkPlace(spec)); err != nil {
			return nil, fmt.Errorf("%w: %w", route.ErrHostEdit, err)
		}
		before.Spec, before.By = spec, route.Attribution{By: e.By, Reason: e.Reason, Since: now.UTC().Round(0)}
		list[e.Name] = before
	}
	if len(list) > hostlist.MaxAdded {
		return nil, fmt.Errorf("%w: operators can add %d hosts at most; list more in pool.hosts_file", route.ErrHostEdit, hostlist.MaxAdded)
	}
	hosts := make([]hostlist.Host, 0, len(list))
	for _, name := range slices.Sorted(maps.Keys(list)) {
		hosts = append(hosts, list[name])
	}
	return hosts, nil
}

// isElsewhere reports whether a host comes from elsewhere than from operators.
func (m *machine) isElsewhere(name string) bool {
	if _, origin := m.lists.Find(name); origin != route.OriginGossip {
		return origin != route.OriginOperator
	}
	h := m.find(name)
	return h != nil && !h.listed()
}

// elsewhere returns the error of an edit of a host that comes from elsewhere: it says where
// that can be changed.
func (m *machine) elsewhere(name string) error {
	where := "announces itself by gossip: stop its agent to remove it, or change what the agent announces (lb agent)"
	switch _, origin := m.lists.Find(name); origin {
	case route.OriginConfig:
		where = "is in pool.hosts of the configuration file: change it there, and then run lb ctl reload"
	case route.OriginDNS:
		where = "is an address of the pool's DNS name: change it there"
	case route.OriginFile:
		where = "is in pool.hosts_file: change it there"
	}
	return fmt.Errorf("%w: %s %s; lb ctl maint %[2]s takes it out now", route.ErrHostEdit, name, where)
}

// checkUnique returns an error if another host has the address or the id of a host, or if the
// policy can't place its id.
func (m *machine) checkUnique(spec route.Spec) error {
	byID := m.hash.Policy == balancer.PolicyHAProxy
	if byID && (spec.ID == 0 || spec.ID > balancer.MaxHAProxyID) {
		return fmt.Errorf("the policy haproxy places hosts by their ids: give %s an id from 1 to %d, as its server line in HAProxy has it (--id)", spec.Name, balancer.MaxHAProxyID)
	}
	for _, h := range m.hosts {
		switch {
		case h.Name == spec.Name || !m.claims(h):
		case strings.EqualFold(h.Address, spec.Address) || h.address == spec.Address:
			return fmt.Errorf("%s already has the address %s: each host needs its own", h.Name, spec.Address)
		case spec.ID != 0 && h.ID == spec.ID:
			return fmt.Errorf("%s already has the id %d: each host needs its own", h.Name, spec.ID)
		case byID && h.ID%balancer.HAProxyIDs == spec.ID%balancer.HAProxyIDs:
			return fmt.Errorf("to HAProxy, the ids %d and %d (of %s) are the same: ids must differ modulo %d", spec.ID, h.ID, h.Name, balancer.HAProxyIDs)
		}
	}
	return nil
}

// checkPlace returns an error if no table can hold all hosts and this one.
func (m *machine) checkPlace(spec route.Spec) error {
	placed := spec.TableHost()
	if weight, ok := m.capacity.Weights[spec.Name]; ok {
		placed.Weight = weight
	}
	if err := m.checkRoom(placed); err != nil {
		return fmt.Errorf("the ring has no room for %s with the weight %d: %w", spec.Name, placed.Weight, err)
	}
	return nil
}

// followDNS has each address of the pool's DNS name be a host, until ctx ends.
func (p *Pool) followDNS(ctx context.Context) {
	name, port, _ := net.SplitHostPort(p.dns.address) // it was checked
	resolver.Follow(ctx, p.dns.lookup, name, p.log, func(all []netip.Addr) { p.dns.found.Set(hostlist.OfAddresses(p.dns.pool, all, port)) })
}
