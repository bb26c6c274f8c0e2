package pool

import "time"

// FreezeConfig is `pool.freeze`: when so many hosts vanish at once that a broken
// network is likelier than their deaths, and for how long their keys wait then. All
// balancers need the same.
type FreezeConfig struct {
	// Share is what part of the ring, 0 to 1, has to vanish within one settle window
	// (Options.Settle) before the ring freezes: more than that. Default 0.5; 1 never
	// freezes it, which is what `off` stands for.
	Share float64 `yaml:"share"`
	// For is how long the ring stays frozen at the longest; MinFreeze to MaxFreeze.
	// Default 2m.
	For time.Duration `yaml:"for"`
	// MinHosts is how many hosts a ring needs to be frozen while one of them is left.
	// In a smaller one those that are left serve. Default 6: where more than half of
	// five hosts vanish, one or two are left.
	MinHosts int `yaml:"min_hosts"`
}

// Bounds of FreezeConfig.For.
const (
	MinFreeze = time.Second
	MaxFreeze = 24 * time.Hour
)

// SetOff makes c the configuration that never freezes the ring.
func (c *FreezeConfig) SetOff() { *c = FreezeConfig{Share: 1} }

// WithDefaults returns c with its zero fields filled in.
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

// exceeded reports whether gone of ring hosts are more than Share.
func (c FreezeConfig) exceeded(gone, ring int) bool {
	const dust = 1e-9 // what binary fractions take from 0.29 × 100
	return float64(gone) > c.Share*float64(ring)+dust
}

// A freeze is whether and since when the ring is frozen.
//
//	        more than share vanish in one settle window,
//	        of min_hosts or more, or none is left
//	open ────────────────────────────────────────────────▶ frozen
//	  ▲                                                      │
//	  └──── share or less of it fail now (the return, ───────┤
//	        or others have come); or `for` is over ──────────┘
type freeze struct {
	frozen  bool
	since   time.Time
	until   time.Time // when it ends by itself
	thawed  time.Time // when the last freeze ended
	expired time.Time // when one last ended because its time was over
	givenUp time.Time // since when that one was: hosts that failed by then are given up
	small   bool      // enough hosts vanish to freeze it, but it is too small for that
	gone    int       // hosts of the ring that vanished together and fail
	ring    int       // hosts of the ring, without those that failed before
}

// judge returns the freeze as of now.
//
// Of the ring are the hosts that may be in it; while it is frozen, those that were,
// and those that have come since and pass their checks: they replace hosts that
// vanished. Hosts that operators have taken out, and hosts that are leaving, are not
// of the ring; a drained host that comes back to a frozen one isn't, either, or two
// of them could thaw it. That gossip finds a host again, or learns another
// address of it, is no proof that it is back.
func (f freeze) judge(now time.Time, ws []witness, p patience) freeze {
	from := f.from(now, p)
	f.gone, f.ring = 0, 0
	for _, w := range ws {
		if w = w.heldBy(f); !f.counts(w) || w.failedBefore(now, from) {
			continue
		}
		f.ring++
		if w.verdict == Down || f.frozen && w.verdict == Unchecked {
			f.gone++
		}
	}
	vanished := p.freeze.exceeded(f.gone, f.ring)
	f.small = vanished && !f.frozen && f.ring > f.gone && f.ring < p.freeze.MinHosts
	switch {
	case vanished && !f.frozen && !f.small:
		f.frozen, f.since, f.until = true, now, now.Add(p.freeze.For)
	case f.frozen && !now.Before(f.until):
		f.expired, f.givenUp = now, f.since
		return f.thaw(now).judge(now, ws, p) // others may have vanished meanwhile
	case f.frozen && !vanished:
		f = f.thaw(now)
	}
	return f
}

func (f freeze) thaw(now time.Time) freeze {
	f.frozen, f.since, f.until, f.thawed = false, time.Time{}, time.Time{}, now
	return f
}

// counts reports whether w is of the ring.
func (f freeze) counts(w witness) bool {
	switch {
	case whyNot(w, true) != "":
		return false
	case f.frozen && !w.inRing:
		return !w.admitted && w.verdict == Up
	}
	return w.admitted
}

// from returns when the window begins in which hosts vanish together. While the
// ring is frozen it stays, and who fails later counts, too. The hosts of a freeze that
// has expired don't freeze the ring once more.
func (f freeze) from(now time.Time, p patience) time.Time {
	if f.frozen {
		now = f.since
	}
	return latest(now.Add(-p.settle), f.givenUp)
}

// failedBefore reports whether the host's checks have not passed since a time
// before from: its keys have gone to others long ago.
func (w witness) failedBefore(now, from time.Time) bool {
	since := w.failing(now)
	return !since.IsZero() && !since.After(from)
}

// failing returns since when the host's checks haven't passed; zero if they pass.
func (w witness) failing(now time.Time) time.Time {
	if w.verdict == Up {
		return time.Time{}
	}
	return firstOf(w.failingAt, now)
}

// heldBy returns w as of a freeze: whoever is in a frozen ring has room there.
func (w witness) heldBy(f freeze) witness {
	w.crowded = w.crowded && !(f.frozen && w.inRing)
	return w
}
