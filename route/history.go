package route

import (
	"slices"
	"time"

	"tokenring/balancer"
)

// A Member is a host of the ring, and how it came into the ring.
type Member struct {
	Host      balancer.Host
	Serves    bool      // it serves now, or it did and the frozen ring keeps its keys
	SlowStart SlowStart // the zero value if the host has had all its keys for long
	Back      bool      // it was in the ring before its slow start, and failed its checks
}

// A FormerRing is the ring as it was before hosts came at the time Start. It holds
// neither these hosts nor hosts that came later. A key that one of them hasn't taken
// yet is on the host that this ring has for the key. Hosts that were in the ring then
// and failed are in the table and count as down, because the table without them might
// place other keys elsewhere, too.
type FormerRing struct {
	Start time.Time
	Hosts []balancer.Host // sorted by name; at least one
	Table *balancer.Table // of Hosts if Exact is set, else an older table; nil if there is none yet
	Exact bool
}

// maxFormerRings bounds the former rings of a moment. There are more only if new hosts
// come all the time. Then the hosts that came first count as if they had all their keys.
const maxFormerRings = 16

// History returns the former rings that have keys at the time now, the newest first. For
// each host that is in slow start then, there is the ring before the host came. And if
// another host was in slow start when that host came, there is the ring before the other
// host came, and so on. The former rings have no tables yet: see Reuse.
func History(members []Member, now time.Time) []FormerRing {
	var starts []SlowStart
	for _, m := range members {
		if m.Serves && m.SlowStart != (SlowStart{}) {
			starts = append(starts, m.SlowStart)
		}
	}
	slices.SortFunc(starts, func(a, b SlowStart) int {
		if order := b.start.Compare(a.start); order != 0 {
			return order
		}
		return b.End().Compare(a.End())
	})
	var history []FormerRing
	for i, s := range starts {
		seen := i > 0 && s.start.Equal(starts[i-1].start)
		if seen || s.Over(now) || len(history) == maxFormerRings {
			continue
		}
		hosts := ringBefore(members, s.start)
		if hosts == nil {
			continue
		}
		history = append(history, FormerRing{Start: s.start, Hosts: hosts})
		if s.start.Before(now) {
			now = s.start
		}
	}
	return history
}

// ringBefore returns the hosts of the ring as it was before start; nil if no host had
// come by then.
func ringBefore(members []Member, start time.Time) (hosts []balancer.Host) {
	some := false
	for _, m := range members {
		older := m.SlowStart.start.Before(start)
		some = some || older
		if older || m.Back {
			hosts = append(hosts, m.Host)
		}
	}
	if !some {
		return nil
	}
	return hosts
}

// Reuse sets the tables of history that are known: tables of the previous history, and
// the table in force, which is often the table of the ring before a host came. It
// returns the lists of hosts for which a table is still to be built.
func Reuse(history, previous []FormerRing, inForce *balancer.Table) (missing [][]balancer.Host) {
	for i := range history {
		f := &history[i]
		if slices.Equal(f.Hosts, inForce.Hosts()) {
			f.Table, f.Exact = inForce, true
			continue
		}
		for _, old := range previous {
			switch {
			case f.Exact:
			case old.Exact && slices.Equal(old.Hosts, f.Hosts):
				f.Table, f.Exact = old.Table, true
			case old.Start.Equal(f.Start):
				f.Table = old.Table
			}
		}
		if !f.Exact {
			missing = append(missing, f.Hosts)
		}
	}
	return missing
}

// HasFormerRing reports whether history has the ring as it was before s began. Its
// hosts have the keys during the slow start.
func HasFormerRing(history []FormerRing, s SlowStart) bool {
	return slices.ContainsFunc(history, func(f FormerRing) bool { return f.Start.Equal(s.start) })
}
