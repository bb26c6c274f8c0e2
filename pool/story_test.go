package pool

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/gossip"
	"tokenring/peers"
	"tokenring/pool/hostlist"
	"tokenring/ringlog"
	"tokenring/statefile"
)

var update = flag.Bool("update", false, "write the output of stories")

// TestStories runs the stories of testdata/pool: what happens to a balancer as commands,
// and what it logs, answers and publishes as output. With -update it writes the output.
//
//	start           a balancer starts, which knows nothing; a line for each host of the config file: name,
//	                address=A weight=N id=N backup. Its arguments are
//	                gossip, peers: it waits for its first attempt to join these;
//	                again: it has on disk what the balancer before it has written;
//	                slow-start=D damping=D freeze=SHARE freeze-for=D min-hosts=N max-weight=N max-hosts-per-address=N
//	                loss-window=D
//	                policy=NAME slots=N bounded-load=F expect=N agree-within=D: as in the configuration
//	hosts           the hosts that are listed now, in the file or by the operator: a line for each, as for start;
//	                bad: the file can't be used
//	handover        another process takes the place of this one, as after a reload. Arguments and lines are those of
//	                start, with the configuration of the other process. Its gossip has met no host yet
//	again           the first process hands over what it knows once more
//	begin           the other process opens its gossip and its files
//	remembers       hosts that were in the ring when the last run ended: name, ago=D failing=D listed; frozen=D:
//	                the ring was, since then
//	members         hosts as gossip has them now: name, address=A weight=N id=N gossip=A leaving lost
//	checks          results: name, up, up=WHY (this one has failed), down or down=WHY, refused, unchecked, of=ADDRESS ago=D
//	resolve         names of hosts: name, to=ADDRESS several failing
//	override        name, state=S weight=N|own reason=WORD by=WORD
//	edit            an operator adds, changes or removes hosts: name, add, set or remove, address=A weight=N id=N
//	                reason=WORD by=WORD
//	told            what a peer tells: name, state=S weight=N|own at=D origin=LB after=D (what it knew; none), or
//	                name, came=D return=N lasts=D, or
//	                name, has=ADDRESS id=N number=N at=D
//	peers           balancers as gossip has them now: name, table=same|other|none, lost, leaving, cut (no streams)
//	knew            balancers of the last run: name, ago=D (when it was lost)
//	insist          an operator goes on without balancers: a line for each, or none for all
//	passed          hosts of which a peer passes on what they have announced: a line for each, as for members
//	votes           what the checks of peers say: name, up=HOSTS down=HOSTS refused=HOSTS unchecked=HOSTS
//	                sends=HOSTS (down, and terminals there work)
//	terminals       name, open=N, byte (one comes from the host); no event of the machine
//	disk            what writes come to from now on: works, fails, hangs, or
//	                appends (the journal can be written, the file can't)
//	builder         what tables come to from now on: works, fails, hangs, doubts
//	aside           names of state files that have been put aside
//	pass            time=D goes by
//	keys            where some new keys go
//	digest          of the table in force
//	rings           what the ring was: each table and each change, the newest first
//	was             ago=D: where the keys went then, and what isn't known of that moment
//
// A line may name several hosts: a,b,c up. Words that aren't in this list are mistakes.
// Disk and builder take no time, unless they hang. The output has the hosts and their
// ring when something in it is new, and so it has the alarms.
func TestStories(t *testing.T) {
	if *update {
		if err := flag.Set("rewrite", "true"); err != nil {
			t.Fatal(err)
		}
	}
	datadriven.Walk(t, "../testdata/pool", func(t *testing.T, path string) {
		s := &story{now: t0, world: world{
			disk:    "works",
			builder: "works",
			edits:   map[uint64]bool{},
			insists: map[uint64]bool{},
			onDisk:  map[peers.Topic]peers.Register{},
		}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t, s.d = t, d
			s.out.Reset()
			s.run()
			return s.out.String()
		})
	})
}

// A story is one balancer's machine and the world around it.
type story struct {
	t       *testing.T
	d       *datadriven.TestData
	out     bytes.Buffer
	machine *machine // nil before the start
	builds  *balancer.Builder
	before  *machine // of the process before, after a handover
	now     time.Time
	world
	shown string // the hosts and the ring as they were shown last
	alarm string // the same of the alarms
}

// A world is what is around the machine.
type world struct {
	members   map[string]gossip.Member // by node
	said      uint64                   // what peers have said, so far
	requests  uint64                   // of operators, so far
	edits     map[uint64]bool          // which of them are edits
	insists   map[uint64]bool          // which of them insist
	disk      string
	builder   string
	writes    []peers.Write   // that the disk has to do
	orders    []builder.Order // that the builder has to do
	operators []hostlist.Host // of operators, that the disk has to write; nil if it hasn't

	unwritten []peers.Write // that failed
	onDisk    map[peers.Topic]peers.Register
	hostsFile []byte       // the operators' hosts on disk
	rings     *ringlog.Log // what the ring was; nil if nothing has been recorded
}

// run executes one command.
func (s *story) run() {
	if err := checkWords(s.d); err != nil {
		s.fatal("%v", err)
	}
	if s.machine == nil && s.d.Cmd != "start" {
		s.fatal("the story has no start")
	}
	switch s.d.Cmd {
	case "keys":
		s.keys()
		return
	case "rings":
		s.showRings()
		return
	case "was":
		s.was(s.now.Add(-s.duration("ago", 0)))
		return
	case "digest":
		fmt.Fprintln(&s.out, s.machine.table.Digest())
		return
	case "pass":
		s.pass(s.now.Add(s.duration("time", 0)))
	default:
		s.happens()
	}
	s.show()
	s.wantRecorded()
}

// happens has the machine take in what one command says.
func (s *story) happens() {
	switch s.d.Cmd {
	case "start":
		s.start()
	case "hosts":
		s.step(s.listed())
	case "handover":
		s.handover()
	case "again":
		s.step(s.handed(s.before))
	case "begin":
		s.step(s.begin())
	case "remembers":
		s.remembers()
	case "members":
		s.step(s.gossiped())
	case "checks":
		s.step(s.checked())
	case "resolve":
		s.step(s.resolved())
	case "override":
		for _, l := range s.lines() {
			s.requests++
			s.step(overrideEvent{s.requests, s.override(l)})
		}
	case "edit":
		for _, l := range s.lines() {
			s.requests++
			s.edits[s.requests] = true
			s.step(editEvent{s.requests, s.edit(l)})
		}
	case "told":
		s.step(s.told())
	case "peers":
		s.streams()
		s.step(s.peers())
	case "knew":
		s.knew()
	case "insist":
		s.insist()
	case "passed":
		s.step(s.passed())
	case "votes":
		s.step(s.votes())
	case "aside":
		s.step(s.aside())
	case "terminals":
		for _, l := range s.lines() {
			gauges := s.host(l.name).gauges
			gauges.Sessions.Store(int64(s.number(l, "open", int(gauges.Sessions.Load()))))
			if l.has("byte") {
				gauges.LastByte.Note(s.now)
			}
		}
	case "disk":
		s.disk = s.d.CmdArgs[0].Key
		s.work()
	case "builder":
		s.builder = s.d.CmdArgs[0].Key
		s.work()
	}
}

// step hands the machine an event, and what follows from it at once.
func (s *story) step(e event) {
	effects := s.machine.step(e, s.now)
	for _, a := range effects.answers {
		if a.err != nil {
			fmt.Fprintf(&s.out, "%s %d: %v\n", s.asked(a.id), a.id, a.err)
		} else {
			fmt.Fprintf(&s.out, "%s %d: done\n", s.asked(a.id), a.id)
		}
	}
	if effects.ready {
		fmt.Fprintln(&s.out, "ready")
	}
	for _, w := range effects.writes {
		s.showTold(w)
		s.writes = append(s.writes, w)
	}
	for _, node := range effects.forgotten {
		delete(s.members, node)
	}
	if effects.rings != nil {
		s.rings = effects.rings
	}
	if effects.operators != nil {
		s.operators = effects.operators
	}
	if effects.order != nil {
		s.orders = append(s.orders, *effects.order)
	}
	s.work()
}

// work lets the disk and the builder do what they were told to, unless they hang.
func (s *story) work() {
	writes, orders := s.writes, s.orders
	s.writes, s.orders = nil, nil
	for _, w := range writes {
		if s.disk == "hangs" {
			s.writes = append(s.writes, w)
		} else {
			s.step(s.write(w))
		}
	}
	if s.operators != nil && s.disk != "hangs" {
		s.step(s.writeHosts())
	}
	for _, o := range orders {
		if s.builder == "hangs" {
			s.orders = append(s.orders, o)
		} else {
			s.step(s.build(o))
		}
	}
}

// write does what the disk has to do.
func (s *story) write(w peers.Write) ackEvent {
	ack := ackEvent{Number: w.Number}
	s.unwritten = append(s.unwritten, w)
	switch s.disk {
	case "fails":
		ack.Err = errors.New("no space left on device")
		return ack
	case "appends":
		ack.CompactErr = errors.New("is a directory")
	}
	for _, w := range s.unwritten {
		for _, r := range w.Registers {
			s.onDisk[r.Topic] = r
		}
		for _, topic := range w.Dropped {
			delete(s.onDisk, topic)
		}
	}
	s.unwritten = nil
	return ack
}

// writeHosts does what the disk has to do with the operators' hosts.
func (s *story) writeHosts() editWrittenEvent {
	hosts := s.operators
	s.operators = nil
	if s.disk == "fails" {
		return editWrittenEvent{errors.New("no space left on device"), s.members}
	}
	var err error
	if s.hostsFile, err = hostlist.Encode(hosts, statefile.Unknown{}); err != nil {
		s.fatal("%v", err)
	}
	return editWrittenEvent{nil, s.members}
}

// build makes the tables of an order.
func (s *story) build(o builder.Order) productEvent {
	made := productEvent{Order: o}
	if s.builder == "fails" {
		made.Err = errors.New("no memory")
		return made
	}
	if made.Table = o.Known; o.Known == nil {
		made.Table, made.Err = s.builds.Build(o.Hosts)
	}
	for _, hosts := range o.Former {
		table, _ := s.builds.Build(hosts)
		made.FormerTables = append(made.FormerTables, table)
	}
	if s.builder == "doubts" {
		made.Doubt = errors.New("of 3 hosts it makes another ring")
	}
	return made
}

// pass lets time go by, with all steps for which the machine asks.
func (s *story) pass(until time.Time) {
	again := 0 // steps at one moment
	for next := s.machine.next; !next.IsZero() && !next.After(until); next = s.machine.next {
		if next.After(s.now) {
			s.show()
			s.now, again = next, 0
		}
		if again++; again > 100 {
			s.fatal("the machine asks for a step at %s again and again", s.clock(s.now))
		}
		s.step(tick{})
	}
	s.show()
	s.now = until
}

func (s *story) fatal(format string, args ...any) {
	s.t.Helper()
	s.d.Fatalf(s.t, format, args...)
}
