package waits

import (
	"fmt"

	"tokenring/balancer"
)

// A Place is what a host has of the ring.
type Place struct {
	Host   balancer.Host // in the table, with weight and id; only if InRing
	InRing bool
	Away   bool // its keys are with other hosts, because it is down or was
}

// serves reports whether the host gets its keys, if it is up.
func (p Place) serves() bool { return p.InRing && !p.Away }

// A Host is what becomes of one host.
type Host struct {
	Before Place  // in the ring in force
	After  Place  // what follows from all that is known
	WhyOut string // why After isn't in the ring, in words
	AtOnce bool   // the change can't wait: the host fails, leaves, or has to go
	Up     bool   // it passes its checks
	Known  bool   // it was in the ring at some time before
}

// Hold returns the place of each host in the next ring while changes wait: the one that it has in
// the ring in force, unless the change can't wait. changes says, in words, which changes wait.
//
// If no host would serve, no host waits to come in; and if more hosts wait to return than serve,
// these don't wait: an outage is worse than a token on two hosts.
func Hold(hosts []Host) (places []Place, changes []string) {
	serving, coming, returning := 0, 0, 0
	for _, h := range hosts {
		if p := h.during(); p.serves() && h.Up {
			serving++
		} else if h.comes() {
			coming++
			if h.returns() {
				returning++
			}
		}
	}
	places = make([]Place, len(hosts))
	for i, h := range hosts {
		places[i] = h.during()
		if h.comes() && (serving == 0 || h.returns() && returning > serving) {
			places[i] = h.After
		}
		if change := h.change(places[i]); change != "" {
			changes = append(changes, change)
		}
	}
	return places, changes
}

// comes reports whether the change is that the host gets keys.
func (h Host) comes() bool { return !h.AtOnce && h.After.serves() && !h.Before.serves() }

// returns reports whether it gets keys that it has had before.
func (h Host) returns() bool { return h.comes() && (h.Known || h.Before.InRing) }

// during returns the place of h while its change waits. A host that is down loses its keys at
// once.
func (h Host) during() Place {
	switch {
	case h.AtOnce, !h.Before.InRing && !h.After.InRing:
		return h.After
	case h.Before.InRing:
		p := h.Before
		p.Away = p.Away || h.After.Away
		return p
	}
	return Place{}
}

// change says what waits of the change of h, "" for nothing.
func (h Host) change(now Place) string {
	name, before, after := h.Before.Host.Name, now, h.After
	if name == "" {
		name = after.Host.Name
	}
	switch {
	case before == after:
	case before.InRing && !after.InRing:
		return fmt.Sprintf("%s leaves the ring: %s", name, h.WhyOut)
	case !before.InRing && !h.Known:
		return name + " joins"
	case !before.InRing, before.Away && !after.Away:
		return name + " returns"
	case before.Host.Weight != after.Host.Weight:
		return fmt.Sprintf("%s: weight %d → %d", name, before.Host.Weight, after.Host.Weight)
	case before.Host.ID != after.Host.ID:
		return fmt.Sprintf("%s: id %d → %d", name, before.Host.ID, after.Host.ID)
	}
	return ""
}
