package eligibility

import "tokenring/route"

// restBackups takes the backups out of all that aren't needed: another host serves, which is in
// the ring and isn't down. While the ring is frozen, no backup comes in, and none goes out: a
// freeze means that the hosts are likelier out of sight than dead, and may have their sessions
// still.
func restBackups(all []Eligibility, seen []Observation, f Freeze) {
	serves := false
	for i, o := range seen {
		serves = serves || !o.Backup && all[i].InRing && (o.Verdict != route.Down || o.Held)
	}
	for i, o := range seen {
		d := &all[i]
		waits := d.InRing || d.WhyNot == route.WhyFrozen
		switch {
		case !o.Backup || !waits || f.Frozen && o.Last.InRing:
		case serves:
			d.InRing, d.WhyNot = false, route.WhyBackup
		case f.Frozen:
			d.InRing, d.WhyNot = false, route.WhyFrozen
		}
	}
}

// isIdle reports whether the host is a backup that isn't in use. It is no host of the ring: whether
// it is up says nothing about those that are.
func (o Observation) isIdle() bool { return o.Backup && !o.Last.InRing }
