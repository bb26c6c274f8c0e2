package pool

import (
	"fmt"
	"slices"
	"time"

	"tokenring/route"
)

// showRings shows what the ring was.
func (s *story) showRings() {
	for _, r := range s.machine.rings.Log().Rings() {
		for _, c := range slices.Backward(r.Changes) {
			fmt.Fprintf(&s.out, "%s: %s\n", s.clock(c.At), c.Cause)
		}
		moved := "?"
		if r.Moved != nil {
			moved = fmt.Sprintf("%.0f%%", 100**r.Moved)
		}
		fmt.Fprintf(&s.out, "%s: ring of %d, moved %s: %s\n", s.clock(r.At), r.Hosts, moved, r.Cause)
	}
}

// was shows where the keys went at an earlier moment.
func (s *story) was(at time.Time) {
	v, err := s.machine.rings.Log().View(at)
	if err != nil {
		fmt.Fprintln(&s.out, err)
		return
	}
	snap, err := v.Snapshot("")
	if err != nil {
		s.fatal("%v", err)
	}
	fmt.Fprintf(&s.out, "%s: ring of %s: %s\n", s.clock(at), s.clock(v.Ring.At), v.Ring.Cause)
	if v.Change.Number > 0 {
		fmt.Fprintf(&s.out, "%s: %s\n", s.clock(v.Change.At), v.Change.Cause)
	}
	for _, note := range v.Notes {
		fmt.Fprintln(&s.out, note)
	}
	s.keysOf(snap)
}

// wantRecorded checks, after each command of each story, that what is recorded answers for
// this moment as the balancer does.
func (s *story) wantRecorded() {
	m := s.machine
	building := m.rebuilding() || slices.ContainsFunc(m.history, func(g route.FormerRing) bool { return !g.Exact })
	if !m.readySaid || m.waiting || building || m.rings.Starts() {
		return
	}
	v, err := m.rings.Log().View(s.now)
	if err != nil {
		s.fatal("%v", err)
	}
	recorded, err := v.Snapshot("")
	if err != nil {
		s.fatal("%v", err)
	}
	for i := range 300 {
		key := fmt.Appendf(nil, "k%d", i)
		got, gotOK := recorded.Choose(recorded.Key(key), nil)
		want, wantOK := m.published.Choose(m.published.Key(key), nil)
		if gotOK != wantOK || got.Rule != want.Rule || (got.Host == nil) != (want.Host == nil) || got.Host != nil && got.Host.Name != want.Host.Name {
			s.fatal("%s: by what is recorded, %s goes to %s, and it goes to %s", s.clock(s.now), key, chosen(got, gotOK), chosen(want, wantOK))
		}
	}
}

// chosen describes a choice.
func chosen(c route.Choice, ok bool) string {
	if c.Host == nil {
		return fmt.Sprintf("no host (%s)", c.Rule)
	}
	return fmt.Sprintf("%s (%s, %t)", c.Host.Name, c.Rule, ok)
}
