package pool

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tokenring/gossip"
	"tokenring/peers"
	"tokenring/pool/gossips"
	"tokenring/pool/ringfile"
	"tokenring/pool/votes"
	"tokenring/resolver"
	"tokenring/ringlog"
	"tokenring/route"
)

// publish publishes a snapshot if anything in it is new.
func (m *machine) publish(now time.Time) {
	s := m.snapshot(m.published, now)
	if m.version > 0 && s.Equal(m.published) {
		return
	}
	m.version++
	s.Version = m.version
	m.published, m.effects.snapshot = s, s
	m.effects.ring = m.ring()
	m.effects.passOn = m.names(func(h *host) bool {
		return !h.listed() && h.contact == route.Lost && !h.Leaving && h.check.Verdict == route.Up
	})
}

// snapshot returns a snapshot of now. before is the last snapshot. Hosts that haven't
// changed are shared with it.
func (m *machine) snapshot(before *route.Snapshot, now time.Time) *route.Snapshot {
	shares := m.table.Shares()
	if m.hash.Keyless() { // requests are spread by the weights alone
		shares = m.table.FairShares()
	}
	hosts := make([]*route.Host, len(m.hosts))
	for i, h := range m.hosts {
		hosts[i] = m.host(h)
		if at := route.IndexOf(m.table.Hosts(), h.Name); at >= 0 {
			hosts[i].Share = shares[at]
		}
		hosts[i].SlowStart = m.progress(h, now)
		if old := before.Host(h.Name); old != nil && *old == *hosts[i] {
			hosts[i] = old
		}
	}
	s := route.NewSnapshot(m.table, hosts)
	s.Frozen, s.FrozenSince, s.FrozenUntil = m.freeze.Frozen, m.freeze.Since, m.freeze.Until
	s.FreezesExpired = m.expiries
	s.SetHistory(m.history, m.slowStartOf, now)
	s.SpreadBy(m.hash.Policy)
	s.Follow(before)
	s.At, s.TableAt, s.TableNumber = now, m.tableAt, m.count
	s.BoundedLoad = m.hash.BoundedLoad
	s.SlowStart = m.slowStart
	s.Rebuilding = m.rebuilding()
	s.Alarm = m.alarm(now)
	s.Peers = m.peers
	s.Balancers, s.Severed, s.Waiting = m.council.Known(), m.severed(), m.wait.Waiting()
	return s
}

// host returns the route.Host of h, without Share and SlowStart.
func (m *machine) host(h *host) *route.Host {
	dnsName := ""
	if resolver.IsName(h.Address) {
		dnsName = h.Address
	}
	spec := h.Spec
	spec.Address, spec.Weight = h.address, m.placed(h).Weight
	return &route.Host{
		Spec:    spec,
		DNSName: dnsName,
		Weights: route.Weights{
			Announced:      h.Weight,
			Counted:        m.counted(h),
			WeightOverride: m.weightOverride(h.Name),
		},
		Membership: route.Membership{Version: h.Version, Leaving: h.Leaving, Key: h.Key, Origin: h.origin, Contact: h.contact},
		AdminState: m.adminState(h),
		Health: route.Health{
			Moving:     h.moving && h.eligibility.InRing,
			Proven:     h.listed() || h.proven,
			Held:       h.ballot.Held,
			AwaitsGate: h.ballot.AwaitsGate,
			Leased:     h.ballot.Leased,
			Own:        h.check.Verdict,
			Views:      h.ballot.Views,
			Traffic:    h.ballot.Traffic,
			Verdict:    h.ballot.Verdict,
			Return:     h.returning(),
			Passes:     h.ballot.Passes,
			DownSince:  h.ballot.DownSince,
			CheckError: h.checkError(),
			CheckedAt:  h.check.At,
		},
		Standing:       route.Standing{InRing: h.eligibility.InRing, WhyNot: h.eligibility.WhyNot, FailedBefore: h.eligibility.FailedBefore, Waits: h.waits},
		AddressChanges: h.changes.counts,
		Gauges:         h.gauges,
		MaxConnections: m.maxConnectionsOf(h),
		Backup:         m.isBackup(h),
	}
}

// maxConnectionsOf returns how many requests may be in progress on a host, 0 for any number.
func (m *machine) maxConnectionsOf(h *host) int {
	if !h.listed() {
		return m.maxConnections
	}
	listed, _ := m.lists.Find(h.Name)
	return cmp.Or(listed.MaxConnections, m.maxConnections)
}

// weightOverride returns which operator has set the weight of a host, the zero value if it
// has its own.
func (m *machine) weightOverride(host string) route.Attribution {
	if _, ok := m.capacity.Weights[host]; !ok {
		return route.Attribution{}
	}
	d, _ := m.registers.Weight(host)
	return route.Attribution{By: d.By, Reason: d.Reason, Since: d.At}
}

// alarm returns all alarms in one text, the worst first; "" if there are none.
func (m *machine) alarm(now time.Time) string {
	alarms := []string{m.freezeAlarm()}
	if m.failure != nil {
		alarms = append(alarms, fmt.Sprintf("the ring could not be built: %v", m.failure))
	}
	if m.doubt != nil {
		alarms = append(alarms, fmt.Sprintf("the library that places tokens doesn't confirm the ring that this program has forecast (%v): "+
			"report this with the names and weights of the hosts, which lb ctl ring shows", m.doubt))
	}
	alarms = append(alarms, m.peerAddressAlarm())
	alarms = append(alarms, m.conflictAlarms()...)
	alarms = append(alarms, m.changeAlarms()...)
	alarms = append(alarms, capacityAlarms(m.capacity)...)
	alarms = append(alarms, m.lostPeersAlarm(now), m.wait.Alarm(now), m.disputeAlarm(), peers.DivergenceAlarm(m.divergent), m.severalAlarm(), m.gateAlarm(), m.registers.ClockAlarm(now), m.saved.Alarm())
	alarms = append(alarms, m.refusalAlarms(now)...)
	alarms = append(alarms, m.files.secretAlarms()...)
	alarms = append(alarms, m.files.hostsAlarm())
	alarms = append(alarms, m.keysAlarms()...)
	alarms = append(alarms, m.files.unused...)
	alarms = append(alarms, m.registers.UnknownAlarm(), m.files.asideAlarm())
	alarms = slices.DeleteFunc(alarms, func(alarm string) bool { return alarm == "" })
	return strings.Join(alarms, ". Also: ")
}

// fileAlarms are what operators have to know of the state files.
type fileAlarms struct {
	dir    string   // the state directory
	unused []string // alarms about content that isn't in force
	aside  []string // the names of files that were put aside

	hosts   string            // why pool.hosts_file can't be used; "" if it is
	secrets map[string]string // by gossip: why what its secret's file holds isn't in use
}

// asideEvent has the names of the state files that were put aside.
type asideEvent []string

func (e asideEvent) apply(m *machine, _ time.Time) bool {
	m.files.aside = e
	return true
}

// asideAlarm returns the alarm about files that were put aside; "" if there are none.
func (f fileAlarms) asideAlarm() string {
	if len(f.aside) == 0 {
		return ""
	}
	return fmt.Sprintf("files in %[2]s were put aside, because they couldn't be read or a later version of lb has written them (%[1]s): look for overrides and hosts in them that are missing here, set or add these again, and remove the files",
		route.ShortList(f.aside), f.dir)
}

// severalAlarm returns the alarm about hosts whose DNS names have several addresses; "" if
// there are none.
func (m *machine) severalAlarm() string {
	hosts := m.names(func(h *host) bool { return h.several })
	if len(hosts) == 0 {
		return ""
	}
	return fmt.Sprintf("the name that is the address of %s has several addresses, which seem to be several machines. Another balancer may choose another machine, so a user may be on two: "+
		"give each machine a name of its own, or write its IP address in pool.hosts", route.ShortList(hosts))
}

// gateAlarm returns the alarm about hosts that can't fence themselves, because no gate stands
// before them; "" if there are none, or if hosts needn't.
func (m *machine) gateAlarm() string {
	if m.fenceWait == 0 {
		return ""
	}
	return votes.GateAlarm(m.names(func(h *host) bool {
		return h.eligibility.InRing && h.check.Verdict == route.Up && h.check.Error == "" && !h.check.Gate
	}))
}

// A refusalsEvent has what a gossip has refused lately.
type refusalsEvent struct {
	gossip string
	all    []gossip.Refusal
}

func (e refusalsEvent) apply(m *machine, _ time.Time) bool {
	m.refused[e.gossip] = e.all
	return true
}

// lostAlarm is how long a balancer that gossip has lost is an alarm. One that left isn't lost.
const lostAlarm = 24 * time.Hour

// lostPeersAlarm returns the alarm about balancers that gossip has lost, or that are expected
// and aren't here; "" if there are none.
func (m *machine) lostPeersAlarm(now time.Time) string {
	var lost []string
	alive := 1
	for _, p := range m.peers {
		at := m.council.LostAt(p.Name)
		if p.Alive {
			alive++
		} else if now.Sub(at) < lostAlarm {
			lost = append(lost, fmt.Sprintf("%s (%s, since %s%s)", p.Name, p.Address, at.UTC().Format(time.RFC3339), m.refusedFrom(p.Address, now)))
		}
	}
	text, missing := "", m.expected > alive && m.isReady()
	if len(lost) > 0 {
		text = "gossip has lost balancers: " + route.ShortList(lost)
	}
	if missing {
		here := fmt.Sprintf("%d of the %d balancers that peers.expect says are here", alive, m.expected)
		text = strings.TrimPrefix(text+", and "+here, ", and ")
	}
	if text == "" {
		return ""
	}
	return text + ": look whether they run, and at the network between them; they need the same peers.secret_file"
}

// refusedFrom says why the gossip among balancers refuses what comes from the address of a
// peer, "" if it doesn't.
func (m *machine) refusedFrom(address string, now time.Time) string {
	at, err := netip.ParseAddrPort(address)
	for _, r := range m.refused[gossips.PeersName] {
		if err != nil || !r.GoesOn(now) || r.From.Addr() != at.Addr() {
			continue
		}
		if r.Reason == gossip.OtherSecret {
			return "; what comes from there is under another secret"
		}
		return fmt.Sprintf("; what comes from there is refused: %s", r.Reason)
	}
	return ""
}

// refusalAlarms returns an alarm for each gossip that refuses messages or members now.
func (m *machine) refusalAlarms(now time.Time) (alarms []string) {
	for _, name := range slices.Sorted(maps.Keys(m.refused)) {
		var list []string
		for _, r := range m.refused[name] {
			if r.GoesOn(now) {
				list = append(list, describeRefusal(r))
			}
		}
		if len(list) > 0 {
			alarms = append(alarms, fmt.Sprintf("the gossip %q refuses what comes from %s: look into the log of this balancer for the reasons, and at these machines", name, route.ShortList(list)))
		}
	}
	return alarms
}

// describeRefusal returns the source of a refusal, its reason and its host.
func describeRefusal(r gossip.Refusal) string {
	source := "others" // there are too many sources to keep each
	if r.From.IsValid() {
		source = gossip.AddressText(r.From)
	}
	if r.Host == "" {
		return fmt.Sprintf("%s (%s)", source, r.Reason)
	}
	return fmt.Sprintf("%s (%s of %q)", source, r.Reason, r.Host)
}

// A secretEvent says why what the file of a gossip's secret holds isn't in use, "" if it is.
type secretEvent struct{ gossip, problem string }

func (e secretEvent) apply(m *machine, _ time.Time) bool {
	m.files.secrets[e.gossip] = e.problem
	return true
}

// secretAlarms returns an alarm for each gossip whose secret has changed to what can't be
// used.
func (f fileAlarms) secretAlarms() (alarms []string) {
	for _, name := range slices.Sorted(maps.Keys(f.secrets)) {
		if problem := f.secrets[name]; problem != "" {
			alarms = append(alarms, fmt.Sprintf("the changed file of %s.secret_file isn't used, and what it held before stays in use: %s", name, problem))
		}
	}
	return alarms
}

// returning returns how h returns, the zero value if it doesn't.
func (h *host) returning() route.Return {
	if h.ballot.ReturnsAt.IsZero() {
		return route.Return{}
	}
	return route.Return{Since: h.ballot.Steadiness.Since, At: h.ballot.ReturnsAt}
}

// checkError returns why h gets no requests by its checks, "" if it may get some.
func (h *host) checkError() string {
	if h.ballot.Outvoted {
		return "down at " + h.ballot.Views.Down
	}
	return h.check.Error
}

// RingLog returns what the ring was: the last hundred tables, and what their hosts could do.
// It is never nil. Nothing is recorded before Ready, and before Begin.
func (p *Pool) RingLog() *ringlog.Log { return p.rings.Load() }

// recordRing takes down how the ring has changed. A balancer records only what it has
// answered by: nothing before it is ready, or while another process decides.
func (m *machine) recordRing(now time.Time) {
	begins := m.rings.Starts() || m.effects.rings != nil // of this process: what is recorded may be older than the last snapshot
	if !m.readySaid || m.waiting || m.effects.snapshot == nil && !begins {
		return
	}
	if m.rings.Record(ringlog.Observation{At: now, Snapshot: m.published, SlowStart: m.keptSlowStart, Serves: m.serves, Hash: m.hash}) {
		m.effects.rings = m.rings.Log()
	}
}

// keptSlowStart returns the last slow start of a host.
func (m *machine) keptSlowStart(host string) ringlog.SlowStart {
	s := m.registers.SlowStart(host)
	kept := ringlog.SlowStart{Since: s.Since, Lasts: s.Lasts, Back: s.Back}
	if slow := route.NewSlowStart(s.Since, s.Lasts); m.slowStartOf(host) != slow {
		kept.Stands = m.wait.Since
	}
	return kept
}

// serves reports whether a host counts for the slow starts of others.
func (m *machine) serves(host string) bool {
	h := m.find(host)
	return h != nil && h.Serving
}

// restoreRings goes on from what another process has recorded; nil if it has recorded
// nothing, because its version doesn't.
func (m *machine) restoreRings(log *ringlog.Log) {
	if log != nil {
		m.rings = ringlog.NewRecorder(log, "")
	}
}

// openRings goes on from what is on disk, nil for nothing. If another process has handed over
// as much, that is newer: it hasn't missed anything since.
func (m *machine) openRings(log *ringlog.Log) {
	if log == nil || m.handed && log.Last() <= m.rings.Log().Last() {
		m.effects.rings = m.rings.Log()
		return
	}
	m.rings = ringlog.NewRecorder(log, m.ringStarts())
}

// ringStarts returns the cause of the first entry of a process that doesn't go on from what
// another has handed over.
func (m *machine) ringStarts() string { return m.name + " started" }

// measuredEvent is what share of the keys a table has moved that wasn't measured when it came
// into force, because the table before was another process's.
type measuredEvent ringfile.Measurement

func (e measuredEvent) apply(m *machine, _ time.Time) bool {
	m.rings.SetMoved(e.Number, e.Moved)
	m.effects.rings = m.rings.Log()
	return false
}
