package route

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tokenring/balancer"
)

// TestStories runs the stories of testdata/route: commands change hosts and place
// keys, and the output says where the keys go. With -update it writes the output.
func TestStories(t *testing.T) {
	if *update {
		if err := flag.Set("rewrite", "true"); err != nil {
			t.Fatal(err)
		}
	}
	datadriven.Walk(t, "../testdata/route", func(t *testing.T, path string) {
		s := &story{now: t0}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
	})
}

// A story is a ring of hosts to which things happen.
type story struct {
	now     time.Time
	hosts   []*Host
	starts  map[string]SlowStart
	table   *balancer.Table
	frozen  bool
	bounded float64
}

// run executes one command of a story.
//
//	hosts           a line for each host of the ring: name, weight=N, and its condition
//	change          the same for hosts that change; the ring stays as it is
//	freeze, thaw    the ring
//	bound factor=N  the loads
//	pass time=D     the clock goes on
//	choose          a line for each key: key, avoid=HOST
//	place           key, before=HOST, away
//	chances         key, before=HOST,…, tried=HOST,…
//	stay            key, avoid=HOST, before=HOST, away, taken, and one of session=HOST, peer=HOST for a session at a peer, lingers=HOST
//	explain         key, before=HOST, away, taken, and what stay has
func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "hosts":
		return s.ring(t, d)
	case "change":
		for _, line := range lines(d) {
			s.change(t, d, line)
		}
	case "freeze", "thaw":
		s.frozen = d.Cmd == "freeze"
	case "bound":
		d.ScanArgs(t, "factor", &s.bounded)
	case "pass":
		s.now = s.now.Add(duration(t, d))
	case "choose", "place", "chances", "stay", "explain":
		return s.ask(t, d)
	default:
		d.Fatalf(t, "no such command")
	}
	return ""
}

func duration(t *testing.T, d *datadriven.TestData) time.Duration {
	var text string
	d.ScanArgs(t, "time", &text)
	span, err := time.ParseDuration(text)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return span
}

// A line is a name and its arguments.
type line struct {
	name string
	says map[string]string
}

func lines(d *datadriven.TestData) (all []line) {
	for text := range strings.Lines(d.Input) {
		words := strings.Fields(text)
		l := line{words[0], map[string]string{}}
		for _, word := range words[1:] {
			what, value, _ := strings.Cut(word, "=")
			l.says[what] = value
		}
		all = append(all, l)
	}
	return all
}

// ring builds the table for the hosts of the input.
func (s *story) ring(t *testing.T, d *datadriven.TestData) string {
	s.hosts, s.starts = nil, map[string]SlowStart{}
	var placed []balancer.Host
	for _, l := range lines(d) {
		h := &Host{Spec: Spec{Name: l.name, Weight: 1}, AdminState: AdminState{State: Ready}, Health: Health{Verdict: Up}, Standing: Standing{InRing: true}, Gauges: new(Gauges)}
		s.hosts = append(s.hosts, h)
		s.change(t, d, l)
		placed = append(placed, balancer.Host{Name: h.Name, Weight: h.Weight})
	}
	s.table = s.build(t, placed)
	return fmt.Sprintf("a ring of %d hosts\n", len(placed))
}

func (s *story) build(t *testing.T, placed []balancer.Host) *balancer.Table {
	b, err := balancer.NewBuilder(balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 4096}})
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Build(placed)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// change sets the conditions of a host.
func (s *story) change(t *testing.T, d *datadriven.TestData, l line) {
	h := s.find(l.name)
	if h == nil {
		d.Fatalf(t, "there is no host %s", l.name)
	}
	for what, value := range l.says {
		switch what {
		case "up":
			h.Verdict, h.Held, h.Moving, h.CheckError, h.Passes, h.Return = Up, false, false, "", false, Return{}
		case "returning": // it was down, and is to pass its checks for five seconds more
			h.Verdict, h.CheckError, h.Passes, h.Return = Down, "", true, Return{Since: s.now.Add(-5 * time.Second), At: s.now.Add(5 * time.Second)}
		case "down":
			h.Verdict, h.Held, h.Moving, h.CheckError, h.Passes, h.Return = Down, false, false, "connection refused", false, Return{}
		case "held":
			h.Verdict, h.Own, h.Held, h.Moving, h.CheckError = Down, Down, true, false, "timeout"
		case "sends": // while it is down, to terminals of these balancers; here is this one
			h.Traffic = false
			var others []string
			for name := range strings.SplitSeq(value, ",") {
				if h.Traffic = h.Traffic || name == "here"; name != "here" {
					others = append(others, name)
				}
			}
			h.Views.Traffic = strings.Join(others, ", ")
		case "failed-before":
			h.Verdict, h.Moving, h.FailedBefore = Down, false, true
		case "moving":
			h.Verdict, h.Moving = Unchecked, true
		case "drained":
			h.DrainEnd.Deadline = s.now
		case "maint":
			h.State, h.InRing, h.WhyNot = Maint, false, WhyMaint
		case "leaves", "stays":
			h.Leaving = what == "leaves"
		case "drain":
			h.State, h.InRing, h.WhyNot = Drain, false, WhyDrain
		case "weight":
			scan(t, d, value, &h.Weight)
		case "terminals":
			var n int64
			scan(t, d, value, &n)
			h.Gauges.Sessions.Store(n)
		case "slow-start":
			lasts, err := time.ParseDuration(value)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			s.starts[h.Name] = NewSlowStart(s.now, lasts)
		default:
			d.Fatalf(t, "no such condition: %s", what)
		}
	}
}

func scan(t *testing.T, d *datadriven.TestData, text string, into any) {
	if _, err := fmt.Sscan(text, into); err != nil {
		d.Fatalf(t, "%s: %v", text, err)
	}
}

func (s *story) find(name string) *Host {
	for _, h := range s.hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// snapshot returns what is known at the moment of the story.
func (s *story) snapshot(t *testing.T) *Snapshot {
	var members []Member
	for i, placed := range s.table.Hosts() {
		members = append(members, Member{Host: placed, Serves: s.hosts[i].Serving(), SlowStart: s.starts[placed.Name]})
	}
	history := History(members, s.now)
	for i := range history {
		history[i].Table = s.build(t, history[i].Hosts)
	}
	snap := NewSnapshot(s.table, s.hosts)
	snap.Frozen, snap.BoundedLoad = s.frozen, s.bounded
	snap.SetHistory(history, func(host string) SlowStart { return s.starts[host] }, s.now)
	return snap
}

// ask returns where the keys of the input go.
func (s *story) ask(t *testing.T, d *datadriven.TestData) string {
	snap := s.snapshot(t)
	var b strings.Builder
	for _, l := range lines(d) {
		_, away := l.says["away"]
		_, taken := l.says["taken"]
		before := Placement{Host: l.says["before"], Away: away, Taken: taken}
		key, avoid := []byte(l.name), s.find(l.says["avoid"])
		switch d.Cmd {
		case "choose":
			c, ok := snap.Choose(snap.Key(key), avoid)
			fmt.Fprintf(&b, "%s: %s\n", l.name, told(c, ok))
		case "place":
			c, ok := snap.Place(snap.Key(key), before, avoid, s.now)
			fmt.Fprintf(&b, "%s: %s", l.name, told(c, ok))
			if ok && c.Placement().Away {
				b.WriteString(", away")
			}
			b.WriteString("\n")
		case "chances":
			fmt.Fprintf(&b, "%s: %s\n", l.name, chances(snap, snap.Key(key), strings.FieldsFunc(l.says["before"], comma), strings.FieldsFunc(l.says["tried"], comma)))
		case "stay":
			c, ok := snap.Stay(snap.Key(key), s.stay(l), before, avoid, s.now)
			if c.Rule == "" {
				fmt.Fprintf(&b, "%s: needn't stay, or can't\n", l.name)
				continue
			}
			fmt.Fprintf(&b, "%s: %s\n", l.name, told(c, ok))
		case "explain":
			tellAll(&b, l.name, snap.Explain(snap.Key(key), s.stay(l), before, s.now))
		}
	}
	return b.String()
}

func comma(r rune) bool { return r == ',' }

// chances returns the hosts that NextChance names, each after the one before was tried.
func chances(s *Snapshot, key Key, before, tried []string) string {
	var all []string
	for {
		c, ok := s.NextChance(key, before, tried)
		if !ok {
			return strings.Join(append(all, told(c, false)), ", ")
		}
		all, tried = append(all, c.Host.Name), append(tried, c.Host.Name)
	}
}

// stay returns where a key is to stay.
func (s *story) stay(l line) Stay {
	since := s.now.Add(-time.Minute)
	switch {
	case l.says["session"] != "":
		return Stay{Host: l.says["session"], Rule: RuleSession}
	case l.says["peer"] != "":
		return Stay{Host: l.says["peer"], Rule: RuleSessionAtPeer, Peer: "lb-2", Since: since}
	case l.says["lingers"] != "":
		return Stay{Host: l.says["lingers"], Rule: RuleLingering, Peer: l.says["told-by"], Since: since}
	}
	return Stay{}
}

func told(c Choice, ok bool) string {
	switch {
	case !ok && c.Host != nil:
		return fmt.Sprintf("refused, for %s is %s", c.Host.Name, c.Rule)
	case !ok:
		return "refused, no host serves"
	}
	return fmt.Sprintf("%s by %s", c.Host.Name, c.Rule)
}

func tellAll(b *strings.Builder, key string, e Explanation) {
	fmt.Fprintf(b, "%s: %s\n", key, e.Reason)
	for _, c := range e.Candidates {
		why := c.WhyNot
		if c.Chosen {
			why = "chosen"
		}
		fmt.Fprintf(b, "  %s, %s: %s\n", c.Name, c.Role, why)
	}
}
