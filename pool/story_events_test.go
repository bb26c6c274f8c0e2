package pool

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/pool/handed"
	"tokenring/pool/hostlist"
	"tokenring/pool/ringfile"
	"tokenring/pool/votes"
	"tokenring/resolver"
	"tokenring/ringlog"
	"tokenring/route"
	"tokenring/statefile"
)

// start makes the machine of a balancer that starts.
func (s *story) start() {
	var remembered []peers.Register
	if s.d.HasArg("again") {
		remembered = slices.Collect(maps.Values(s.onDisk))
	}
	s.newProcess(remembered)
	if s.d.HasArg("again") && s.hostsFile != nil {
		s.machine.replaceList(hostsEvent{origin: route.OriginOperator, hosts: s.hostsOnDisk()}, s.now)
	}
	if s.d.HasArg("again") {
		s.machine.openRings(s.ringsOnDisk())
	}
	s.machine.joined, s.machine.peersJoined = !s.d.HasArg("gossip"), !s.d.HasArg("peers")
	if s.d.HasArg("gossip") {
		s.machine.quiet = startupQuiet
	}
	s.step(tick{})
}

// handover makes the machine of another process, and gives it what the machine of this one
// knows.
func (s *story) handover() {
	s.before = s.machine
	s.newProcess(nil)
	s.machine.waiting = true
	s.step(s.handed(s.before))
}

// begin returns the event that the other process may decide.
func (s *story) begin() beginEvent {
	return beginEvent{registers: slices.Collect(maps.Values(s.onDisk)), operators: s.hostsOnDisk(), listed: s.hostsFile != nil, rings: s.ringsOnDisk(), alone: true}
}

// hostsOnDisk returns the operators' hosts that are on disk.
func (s *story) hostsOnDisk() []hostlist.Host {
	if s.hostsFile == nil {
		return nil
	}
	hosts, _, err := hostlist.Parse(s.hostsFile)
	if err != nil {
		s.fatal("%v", err)
	}
	return hosts
}

// ringsOnDisk returns what the ring was as it is on disk, if the balancer has just stopped.
func (s *story) ringsOnDisk() *ringlog.Log {
	if s.rings == nil {
		return nil
	}
	b, err := ringfile.Encode(s.rings, s.now, statefile.Unknown{})
	if err != nil {
		s.fatal("%v", err)
	}
	rings, _, err := ringfile.Parse(b)
	if err != nil {
		s.fatal("%v", err)
	}
	return rings
}

// handed returns what m hands over, by way of JSON.
func (s *story) handed(m *machine) handedEvent {
	var known handed.Decoded
	if err := m.capture(&known); err != nil {
		s.fatal("%v", err)
	}
	b, err := json.Marshal(known.Encode())
	if err != nil {
		s.fatal("%v", err)
	}
	var state handed.State
	if err := json.Unmarshal(b, &state); err != nil {
		s.fatal("%v", err)
	}
	return handedEvent{Decoded: handed.Decode(state, s.builds, s.log())}
}

// newProcess makes a machine with the configuration that a command says.
func (s *story) newProcess(remembered []peers.Register) {
	set := settings{name: "lb-1", hash: s.hash().WithDefaults(), limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}, slowStart: s.duration("slow-start", 0), damping: s.duration("damping", 0), delays: eligibility.DefaultDelays}
	freeze := &set.delays.Freeze
	set.delays.LossWindow = s.duration("loss-window", set.delays.LossWindow)
	freeze.For = s.duration("freeze-for", freeze.For)
	s.scan("freeze", &freeze.Share)
	s.scan("max-weight", &set.limits.MaxWeight)
	s.scan("max-hosts-per-address", &set.limits.MaxHostsPerAddress)
	s.scan("min-hosts", &freeze.MinHosts)
	s.scan("expect", &set.expected)
	set.fenceWait = s.duration("strict", 0)
	set.within, set.streams = s.duration("agree-within", 0), s.d.HasArg("agree-within")
	static := s.staticHosts()
	s.shown, s.alarm, s.members = "", noAlarm, map[string]gossip.Member{}
	s.writes, s.unwritten, s.orders = nil, nil, nil
	s.machine = newMachine(set, map[route.Origin][]hostlist.Host{route.OriginConfig: static}, remembered, s.log(), s.now)
	s.machine.files.dir = "/var/lib/lb"
}

// hash returns the section `hash` of the configuration: by default a policy of which the
// tables are made in no time.
func (s *story) hash() balancer.Config {
	cfg := balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}, Consistent: balancer.ConsistentConfig{Replicas: 10}}
	s.scan("policy", &cfg.Policy)
	s.scan("slots", &cfg.Consistent.Partitions)
	s.scan("bounded-load", &cfg.BoundedLoad)
	var err error
	if s.builds, err = balancer.NewBuilder(cfg); err != nil {
		s.fatal("%v", err)
	}
	return cfg
}

// log returns a log of which warnings and errors are output of the story.
func (s *story) log() zerolog.Logger {
	level := func(l any) string { return "log " + fmt.Sprint(l) + ":" }
	return zerolog.New(zerolog.ConsoleWriter{Out: &s.out, NoColor: true, PartsOrder: []string{"level", "message"}, FormatLevel: level}).Level(zerolog.WarnLevel)
}

// staticHosts returns the hosts that the lines list.
func (s *story) staticHosts() (all []hostlist.Host) {
	for _, l := range s.lines() {
		all = append(all, hostlist.Host{Spec: s.spec(l, route.Spec{Name: l.name, Address: addressOf(l.name), Weight: 1}), Backup: l.has("backup")})
	}
	return all
}

func (s *story) listed() event {
	e := hostsEvent{origin: route.OriginFile, hosts: s.staticHosts(), members: s.members}
	if s.d.HasArg("operator") {
		e.origin = route.OriginOperator
	}
	if s.d.HasArg("bad") {
		e.err = errors.New("hosts.yaml:3:5: hosts[2].weight: 300 is not in 0..256")
	}
	return e
}

func (s *story) remembers() {
	var all []gossip.CachedMember
	var ring handed.Ring
	if ago := s.duration("frozen", -1); ago >= 0 {
		ring.Freeze.Frozen, ring.Freeze.Since = true, s.now.Add(-ago)
	}
	for _, l := range s.lines() {
		m := s.metadata(l)
		h := handed.RingHost{Name: l.name, Address: m.Address, ID: m.ID}
		if l.has("failing") {
			h.FailingSince = s.now.Add(-s.span(l, "failing", 0))
		}
		ring.Hosts = append(ring.Hosts, h)
		if l.has("listed") {
			continue
		}
		all = append(all, gossip.CachedMember{Node: m.Node(), Spec: m.Spec, InRing: true, Seen: s.now.Add(-s.span(l, "ago", time.Minute))})
	}
	s.machine.restoreRing(handed.DecodeRing(ring.Encode(), s.machine.delays.Freeze.For, s.now))
	s.machine.expect(all)
	s.step(tick{})
}

func (s *story) gossiped() event {
	for _, l := range s.lines() {
		m := s.metadata(l)
		s.members[m.Node()] = gossip.Member{Metadata: m, Addr: s.gossipOf(l), Lost: l.has("lost"), LostAt: s.now}
	}
	return membersEvent{members: s.members, joined: true}
}

// gossipOf returns the address of a host's gossip, as a line says it.
func (s *story) gossipOf(l line) (at netip.AddrPort) {
	if text := l.or("gossip", ""); text != "" {
		at = netip.MustParseAddrPort(text)
	}
	return at
}

// metadata returns what the host of a line announces: the same as before, but for what
// the line says.
func (s *story) metadata(l line) announcement.Metadata {
	m := announcement.Metadata{Role: announcement.HostRole, Spec: route.Spec{Name: l.name, Address: addressOf(l.name), Weight: 1}}
	if known, ok := s.members[m.Node()]; ok {
		m = known.Metadata
	}
	m.Spec = s.spec(l, m.Spec)
	m.Leaving, m.Drain = l.has("leaving"), announcement.Drain{}
	switch {
	case l.says["drains"] != "":
		m.Drain = announcement.NewDrain(s.now, s.now.Add(s.span(l, "drains", 0)))
	case l.has("drains"):
		m.Drain = announcement.NewDrain(s.now, time.Time{})
	}
	return m
}

// spec returns a spec with what a line says of it.
func (s *story) spec(l line, spec route.Spec) route.Spec {
	spec.Address = l.or("address", spec.Address)
	spec.Weight = s.number(l, "weight", spec.Weight)
	spec.ID = uint32(s.number(l, "id", int(spec.ID)))
	return spec
}

// addressOf returns where a host is if a story says nothing else.
func addressOf(host string) string { return fmt.Sprintf("10.0.0.%d:80", 1+host[0]-'a') }

func (s *story) checked() event {
	all := checksEvent{}
	for _, l := range s.lines() {
		r := CheckResult{Address: l.or("of", s.host(l.name).address), Gate: l.has("gate"), At: s.now.Add(-s.span(l, "ago", 0))}
		switch {
		case l.has("up"):
			r.Verdict, r.Error = route.Up, l.or("up", "")
		case l.has("down"):
			r.Verdict, r.Error, r.Refused = route.Down, l.or("down", refused), l.has("refused")
		case !l.has("unchecked"):
			s.fatal("%s: a check comes to up, down or unchecked", l.name)
		}
		all[l.name] = r
	}
	return all
}

func (s *story) resolved() event {
	all := addressesEvent{}
	for _, l := range s.lines() {
		s.host(l.name)
		all[l.name] = resolver.Address{Address: l.says["to"], Several: l.has("several"), Failing: l.has("failing")}
	}
	return all
}

func (s *story) override(l line) route.Override {
	o := route.Override{Host: l.name, State: route.State(l.says["state"]), Reason: l.says["reason"], By: l.or("by", "ops")}
	switch {
	case l.says["weight"] == "own":
		o.Weight = new(route.OwnWeight)
	case l.has("weight"):
		o.Weight = new(s.number(l, "weight", 0))
	}
	return o
}

// edit returns what a line says of a host.
func (s *story) edit(l line) route.HostEdit {
	e := route.HostEdit{Name: l.name, Reason: l.says["reason"], By: l.or("by", "ops")}
	for _, action := range []route.HostAction{route.AddHost, route.SetHost, route.RemoveHost} {
		if l.has(string(action)) {
			e.Action = action
		}
	}
	if e.Address = l.says["address"]; e.Action == route.AddHost && e.Address == "" {
		e.Address = addressOf(l.name)
	}
	if l.has("weight") {
		e.Weight = new(s.number(l, "weight", 0))
	}
	if l.has("id") {
		e.ID = new(uint32(s.number(l, "id", 0)))
	}
	if err := e.Check(); err != nil {
		s.fatal("%v", err)
	}
	return e
}

// asked returns what an operator has asked for in a request.
func (s *story) asked(id uint64) string {
	if s.edits[id] {
		return "edit"
	}
	if s.insists[id] {
		return "insist"
	}
	return "override"
}

func (s *story) told() event {
	var all registersEvent
	for _, l := range s.lines() {
		if l.has("came") {
			r, err := peers.SlowStart{
				Host: l.name, Number: uint64(s.number(l, "return", 1)), Since: s.now.Add(s.span(l, "came", 0)), Lasts: s.span(l, "lasts", time.Minute),
			}.Register()
			if err != nil {
				s.fatal("%v", err)
			}
			all = append(all, r)
			continue
		}
		if l.has("has") {
			r, err := peers.Precedence{
				Host: l.name, Number: uint64(s.number(l, "number", 0)), Address: l.says["has"], ID: uint32(s.number(l, "id", 0)), Since: s.now.Add(s.span(l, "at", 0)),
			}.Register()
			if err != nil {
				s.fatal("%v", err)
			}
			all = append(all, r)
			continue
		}
		o := peers.Override{Override: s.override(l), At: s.now.Add(s.span(l, "at", 0)), Origin: l.or("origin", "lb-2")}
		switch l.says["after"] {
		case "": // an earlier version says nothing of it
		case "none":
			o.After = new(peers.Basis)
		default:
			o.After = &peers.Basis{At: s.now.Add(s.span(l, "after", 0))}
		}
		of, err := o.Registers()
		if err != nil {
			s.fatal("%v", err)
		}
		all = append(all, of...)
	}
	return all
}

func (s *story) peers() event {
	e := peersEvent{joined: true}
	digests := map[string]string{"same": s.machine.table.Digest(), "other": "another table", "none": ""}
	for _, l := range s.lines() {
		digest, ok := digests[l.or("table", "same")]
		if !ok {
			s.fatal("%s: there is no table=%s", l.name, l.says["table"])
		}
		e.peers = append(e.peers, route.Peer{Name: l.name, Address: "10.0.2.1:7947", Digest: digest, Alive: !l.has("lost"), Leaving: l.has("leaving"), Stream: "10.0.2.1:7948"})
	}
	return e
}

// passed returns what a peer passes on of hosts.
func (s *story) passed() (all passedOnEvent) {
	for _, l := range s.lines() {
		m := s.metadata(l)
		m.Gossip = s.gossipOf(l)
		all = append(all, m)
	}
	return all
}

// votes returns what peers tell of their checks.
func (s *story) votes() event {
	var all verdictsEvent
	for _, l := range s.lines() {
		s.said++
		say := func(word string, v votes.Vote) {
			if l.has(word) {
				all = append(all, votes.Entry{By: l.name, Boot: 1, Number: s.said, Vote: v, Hosts: strings.Split(l.says[word], ",")})
			}
		}
		say("up", votes.Vote{Verdict: route.Up})
		say("down", votes.Vote{Verdict: route.Down, Since: s.now})
		say("refused", votes.Vote{Verdict: route.Down, Since: s.now, Refused: true})
		say("unchecked", votes.Vote{})
		say("sends", votes.Vote{Verdict: route.Down, Since: s.now, Traffic: true})
	}
	return all
}

func (s *story) aside() event {
	var names asideEvent
	for _, l := range s.lines() {
		names = append(names, l.name)
	}
	return names
}

// host returns the host of a name, which there is.
func (s *story) host(name string) *host {
	h := s.machine.find(name)
	if h == nil {
		s.fatal("there is no host %s", name)
	}
	return h
}
