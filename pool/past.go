package pool

import (
	"slices"
	"time"

	"tokenring/balancer"
)

// A tenure is a host of the ring, and how it came there.
type tenure struct {
	host   balancer.Host
	serves bool // or did, and keeps its keys in a frozen ring
	ramp   ramp // zero: it has long been there
	back   bool // it was in the ring before its ramp, and failed its checks
}

// A past is the ring as it was before hosts came at start: without them, and
// without all that came after. A key that one of them hasn't taken yet is where
// that ring has it. Those that were in the ring and failed are in the table, but down:
// without them it might be another.
type past struct {
	start time.Time
	hosts []balancer.Host // sorted by name; at least one
	table *balancer.Table // that of hosts if exact is set, else an older one; nil for none yet
	exact bool
}

// maxPasts bounds the pasts of a moment. There are more only if hosts come without
// end; those that came first then count as if they had all their keys.
const maxPasts = 16

// pastsOf returns the pasts that are asked for at a moment, the newest first: that
// of each host of the ring that hasn't all its keys, and of each that hadn't when
// one of those came.
func pastsOf(ring []tenure, now time.Time) []past {
	var ramps []ramp
	for _, t := range ring {
		if t.serves && t.ramp != (ramp{}) {
			ramps = append(ramps, t.ramp)
		}
	}
	slices.SortFunc(ramps, func(a, b ramp) int {
		if order := b.start.Compare(a.start); order != 0 {
			return order
		}
		return b.end().Compare(a.end())
	})
	var pasts []past
	for i, r := range ramps {
		seen := i > 0 && r.start.Equal(ramps[i-1].start)
		if seen || r.over(now) || len(pasts) == maxPasts {
			continue
		}
		hosts := ringBefore(ring, r.start)
		if hosts == nil {
			continue
		}
		pasts = append(pasts, past{start: r.start, hosts: hosts})
		if r.start.Before(now) {
			now = r.start
		}
	}
	return pasts
}

// ringBefore returns the ring as it was before start; nil if nobody had come by then.
func ringBefore(ring []tenure, start time.Time) (hosts []balancer.Host) {
	anybody := false
	for _, t := range ring {
		older := t.ramp.start.Before(start)
		anybody = anybody || older
		if older || t.back {
			hosts = append(hosts, t.host)
		}
	}
	if !anybody {
		return nil
	}
	return hosts
}

// recall gives pasts the tables that are known: those of before, and the table in
// force, which often is what was there before somebody came. It returns the hosts
// of the tables that are missing.
func recall(pasts, before []past, inForce *balancer.Table) (missing [][]balancer.Host) {
	for i := range pasts {
		p := &pasts[i]
		if slices.Equal(p.hosts, inForce.Hosts()) {
			p.table, p.exact = inForce, true
			continue
		}
		for _, old := range before {
			switch {
			case p.exact:
			case old.exact && slices.Equal(old.hosts, p.hosts):
				p.table, p.exact = old.table, true
			case old.start.Equal(p.start):
				p.table = old.table
			}
		}
		if !p.exact {
			missing = append(missing, p.hosts)
		}
	}
	return missing
}
