package eligibility

import (
	"time"

	"tokenring/pool/moment"
	"tokenring/route"
)

// FreezeConfig is `pool.freeze`. It says how many hosts must vanish at once to freeze the
// ring, because a broken network is likelier then than so many dead hosts, and how long
// the keys of these hosts wait. It must be the same on all balancers.
type FreezeConfig struct {
	// Share is a part of the ring, 0 to 1. The ring freezes if more hosts than this part
	// vanish within one loss window (Options.LossWindow). Default 0.5. With 1 the ring
	// never freezes; `off` stands for it.
	Share float64 `yaml:"share"`
	// For is the longest time for which the ring stays frozen: MinFreeze to MaxFreeze.
	// Default 2m.
	For time.Duration `yaml:"for"`
	// MinHosts is how many hosts a ring must have to freeze while some of its hosts still
	// pass their checks. In a smaller ring these hosts serve all keys. Default 6: if more
	// than half of five hosts vanish, only one or two are left.
	MinHosts int `yaml:"min_hosts"`
}

// Bounds of FreezeConfig.For.
const (
	MinFreeze = time.Second
	MaxFreeze = 24 * time.Hour
)

// SetOff makes c the configuration that never freezes the ring.
func (c *FreezeConfig) SetOff() { *c = FreezeConfig{Share: 1} }

// WithDefaults returns c with its zero fields set to their defaults.
func (c FreezeConfig) WithDefaults() FreezeConfig {
	if c.Share == 0 {
		c.Share = 0.5
	}
	if c.For == 0 {
		c.For = 2 * time.Minute
	}
	if c.MinHosts == 0 {
		c.MinHosts = 6
	}
	return c
}

// IsOff reports whether the ring never freezes.
func (c FreezeConfig) IsOff() bool { return c.Share >= 1 }

// exceeded reports whether so many vanished hosts are more than Share of the ring's hosts.
func (c FreezeConfig) exceeded(gone, ring int) bool {
	const epsilon = 1e-9 // the rounding error of products such as 0.29 × 100
	return float64(gone) > c.Share*float64(ring)+epsilon
}

// halved reports whether so many vanished hosts are Share of the ring's hosts, or more.
func (c FreezeConfig) halved(gone, ring int) bool {
	const epsilon = 1e-9
	return gone > 0 && !c.IsOff() && float64(gone) > c.Share*float64(ring)-epsilon
}

// A Freeze says whether the ring is frozen, and since when.
//
//	        more than share vanish in one loss window,
//	        of min_hosts or more, or no host is left;
//	        or share or more of any ring, and a balancer
//	open ────────────────────────────────────────────────▶ frozen
//	  ▲                                                      │
//	  └──── share or less fail now (hosts return, or ────────┤
//	        new hosts have come); or `for` is over ──────────┘
type Freeze struct {
	Frozen       bool      `json:"frozen,omitempty"`
	Since        time.Time `json:"since,omitzero"`
	Until        time.Time `json:"-"`                      // when it ends because its time is over
	Thawed       time.Time `json:"thawed,omitzero"`        // when the last freeze ended
	Expired      time.Time `json:"expired,omitzero"`       // when a freeze ended the last time because its time was over
	IgnoredUntil time.Time `json:"ignored_until,omitzero"` // when that freeze began: hosts that failed by then freeze the ring no more
	TooSmall     bool      `json:"too_small,omitempty"`    // enough hosts have vanished to freeze the ring, but it has too few hosts
	WithPeer     bool      `json:"with_peer,omitempty"`    // a balancer vanished together with the hosts
	PeerLost     time.Time `json:"-"`                      // when gossip lost the last of the balancers that it hasn't found again; zero if there are none. The caller of Assess sets it
	Gone         int       `json:"-"`                      // hosts of the ring that vanished together and fail their checks
	Ring         int       `json:"-"`                      // hosts of the ring, without the hosts that failed before
}

// update returns the freeze as of now.
//
// It counts the machines with hosts of the ring. A machine has vanished when all these
// hosts have. In a frozen ring these are the hosts that were in it
// when it froze, and new hosts that pass their checks: they replace vanished hosts. Hosts
// that operators have taken out, and hosts that are leaving, don't count. A drained host
// that comes back while the ring is frozen doesn't count, either: two such hosts could
// thaw the ring. If gossip finds a host again, or learns another address of it, the host
// isn't back: only a passed check shows that.
func (f Freeze) update(now time.Time, seen []Observation, p Delays) Freeze {
	start := f.WindowStart(now, p)
	f.Gone, f.Ring = 0, 0
	machines := isThere{}
	for _, o := range seen {
		if o = o.during(f); !f.counts(o) || o.failedBefore(now, start) {
			continue
		}
		gone := o.Verdict == route.Down || f.Frozen && o.Verdict == route.Unchecked
		machines[o.Machine] = machines[o.Machine] || !gone
		f.Ring++
		if gone {
			f.Gone++
		}
	}
	f.WithPeer = f.withPeer(start) && p.Freeze.halved(machines.gone(), len(machines))
	vanished := f.WithPeer || p.Freeze.exceeded(machines.gone(), len(machines))
	f.TooSmall = vanished && !f.Frozen && !f.WithPeer && f.Ring > f.Gone && len(machines) < p.Freeze.MinHosts
	switch {
	case vanished && !f.Frozen && !f.TooSmall:
		f.Frozen, f.Since, f.Until = true, now, now.Add(p.Freeze.For)
	case f.Frozen && !now.Before(f.Until):
		f.Expired, f.IgnoredUntil = now, f.Since
		return f.thaw(now).update(now, seen, p) // other hosts may have vanished meanwhile
	case f.Frozen && !vanished:
		f = f.thaw(now)
	}
	return f
}

// withPeer reports whether a balancer counts as vanished together with hosts: one was lost
// since start, or one that was has frozen the ring and isn't back. Both have vanished for one
// reason then, which is the network between here and there.
func (f Freeze) withPeer(start time.Time) bool {
	if f.Frozen {
		return f.WithPeer && !f.PeerLost.IsZero()
	}
	return f.PeerLost.After(start)
}

// isThere says of each machine with hosts of the ring whether one of them is there. All
// machines count the same, however many hosts are on one: a machine that announces many
// hosts and fails must not freeze the ring alone.
type isThere map[string]bool

// gone returns how many machines have vanished.
func (machines isThere) gone() (n int) {
	for _, there := range machines {
		if !there {
			n++
		}
	}
	return n
}

// Over returns a freeze of an earlier run as of now: it may have ended because its time was
// over, while nobody looked.
func (f Freeze) Over(now time.Time) Freeze {
	if f.Frozen && !now.Before(f.Until) {
		f.Expired, f.IgnoredUntil = f.Until, f.Since
		return f.thaw(f.Until)
	}
	return f
}

// thaw returns the freeze when it has ended.
func (f Freeze) thaw(now time.Time) Freeze {
	f.Frozen, f.WithPeer, f.Since, f.Until, f.Thawed = false, false, time.Time{}, time.Time{}, now
	return f
}

// counts reports whether the host of o counts as a host of the ring.
func (f Freeze) counts(o Observation) bool {
	switch {
	case whyNot(o, true) != "", o.isIdle():
		return false
	case f.Frozen && !o.Last.InRing:
		return !o.Last.Admitted && o.Verdict == route.Up
	}
	return o.Last.Admitted
}

// WindowStart returns the beginning of the window in which hosts vanish together. While
// the ring is frozen, the beginning stays the same, and hosts that fail later count, too.
// The hosts of a freeze that has expired don't freeze the ring again.
func (f Freeze) WindowStart(now time.Time, p Delays) time.Time {
	if f.Frozen {
		now = f.Since
	}
	return moment.Latest(now.Add(-p.LossWindow), f.IgnoredUntil)
}

// failedBefore reports whether the host's checks have failed since start or longer. Its
// keys have gone to other hosts then.
func (o Observation) failedBefore(now, start time.Time) bool {
	since := o.failing(now)
	return !since.IsZero() && !since.After(start)
}

// failing returns since when the host's checks have not passed; zero if they pass.
func (o Observation) failing(now time.Time) time.Time {
	if o.Verdict == route.Up {
		return time.Time{}
	}
	return moment.OrElse(o.Last.FailingSince, now)
}

// during returns o as it counts during a freeze: a frozen ring has room for its hosts.
func (o Observation) during(f Freeze) Observation {
	if f.Frozen && o.Last.InRing {
		o.Barred = ""
	}
	return o
}
