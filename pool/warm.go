package pool

import "time"

// rampOf returns a host's way to its keys, the zero ramp if it has long had them.
func (k *keeper) rampOf(host string) ramp { return k.warmUps[host].ramp() }

// warming returns how far a host's warm-up is, zero if it has none now.
func (k *keeper) warming(h *known, now time.Time) Warming {
	r := k.rampOf(h.name)
	if !h.serving || r.over(now) || !k.hasPast(r) {
		return Warming{}
	}
	return Warming{Since: k.warmUps[h.name].Since, Until: r.end(), Taken: float64(r.taken(now)) / float64(r.parts)}
}

// hasPast reports whether there is anybody who can have the keys meanwhile.
func (k *keeper) hasPast(r ramp) bool {
	for _, p := range k.pasts {
		if p.start.Equal(r.start) {
			return true
		}
	}
	return false
}

// watch takes down who has begun or ceased to serve, and begins the warm-ups of
// those who have come. Before we are settled everybody comes, and nobody warms up
// for it: a balancer that starts again must move nobody.
func (k *keeper) watch(now time.Time) {
	var came []*known
	for _, h := range k.hosts {
		serving := h.ruling.inRing && (h.heard.Verdict == Up || h.moving)
		h.kept = h.kept || k.freeze.frozen && h.ruling.inRing && !h.ruling.failedBefore && !serving
		switch {
		case serving == h.serving:
			continue
		case k.settled.IsZero():
		case serving:
			h.came = now
			came = append(came, h)
		default:
			h.went = now
		}
		h.serving = serving
	}
	fresh := false
	for _, h := range came {
		if w, ok := k.comes(h, now); ok && k.warmUps.merge(w) {
			fresh = true
			k.p.peers.tellWarmUp(k.warmUps[h.name])
			k.log.Info().Str("host", h.name).Dur("lasts", w.Lasts).Msg("host warms up")
		}
	}
	if k.correct(now) || fresh {
		k.keepMemory()
	}
}

// clockError is how far balancers' clocks are taken to be apart.
const clockError = time.Second

// correct has the warm-up of each host that serves begin now if it begins in what is
// the future: a clock was ahead when the host came, and until that time the host would
// have no keys. It reports whether there was one. Of several balancers' words on it
// the earliest counts.
func (k *keeper) correct(now time.Time) (fresh bool) {
	for _, h := range k.hosts {
		w := k.warmUps[h.name]
		if !h.serving || !w.Since.After(now.Add(clockError)) {
			continue
		}
		k.log.Warn().Str("host", h.name).Time("since", w.Since).Msg("a warm-up of the future begins now: some balancer's clock is or was wrong")
		w.Since = now
		if k.warmUps.merge(w) {
			k.p.peers.tellWarmUp(w)
			fresh = true
		}
	}
	return fresh
}

// witnessed is how far apart balancers may be in seeing a new host come. If it is
// more, it counts as having come once more, and those who have seen it contradict.
const witnessed = 10 * time.Second

// healing is how long after a thaw those that had vanished may return as if the
// ring were frozen still. It thaws with the first of them, and a partition doesn't
// heal for all within one round of checks and gossip.
const healing = 30 * time.Second

// comes returns the warm-up of a host that has just come, false if it has none: who
// vanished with others, and comes back with them, still has the sessions of the keys
// that the frozen ring has kept for it. If a peer has seen it come already, it is
// the same warm-up, and counts from the earlier of the two times.
func (k *keeper) comes(h *known, now time.Time) (warmUp, bool) {
	heals := h.kept && (k.freeze.frozen || now.Sub(k.freeze.thawed) < healing)
	h.kept, h.unsure = false, false
	w := k.warmUps[h.name]
	seen := !w.Since.Before(h.went)
	if h.went.IsZero() { // as far as we know it was never here
		seen = now.Sub(w.Since) < witnessed
	}
	if !seen {
		w = warmUp{Host: h.name, Number: w.Number + 1, Lasts: k.p.slowStart, Back: k.asked.find(h.name) >= 0}
		if h.unsure = !k.established(now); h.unsure || heals || w.Lasts == 0 {
			return w, false
		}
	}
	w.Since = now
	return w, true
}

// established reports whether a host serves that has done so for as long as a
// warm-up lasts. In a region where all are new, nobody has to be spared, and to
// send everything to the first would be worse.
func (k *keeper) established(now time.Time) bool {
	for _, h := range k.hosts {
		if h.serving && (h.came.IsZero() || now.Sub(h.came) >= k.p.slowStart) {
			return true
		}
	}
	return false
}

// learnWarmUps takes in what peers have seen, and reports whether any of it is
// news. It contradicts a peer that has seen a host come which has been serving
// here, so that no key leaves the host, here or there.
func (k *keeper) learnWarmUps(heard warmUps) (fresh bool) {
	for _, w := range heard.list() {
		known := k.warmUps[w.Host]
		if k.servesBefore(w) && known.Since.Before(w.Since) {
			w.Since, w.Lasts, w.Back = known.Since, known.Lasts, known.Back
		}
		if k.warmUps.merge(w) {
			fresh = true
			k.p.peers.tellWarmUp(w)
			k.log.Debug().Str("host", w.Host).Time("since", w.Since).Dur("lasts", w.Lasts).Msg("a peer's word on a warm-up taken in")
		}
	}
	return fresh
}

// servesBefore reports whether w's host serves here, and did so before it is said
// to have come. What was before we were settled, others know better; so they do if we
// saw it come at about that time, and gave it no warm-up because all were new to us.
func (k *keeper) servesBefore(w warmUp) bool {
	i, ok := k.find(w.Host)
	if !ok || !k.hosts[i].serving || k.settled.IsZero() {
		return false
	}
	h := k.hosts[i]
	switch {
	case h.came.IsZero():
		return w.Since.After(k.settled)
	case h.unsure:
		return w.Since.Sub(h.came) > witnessed
	}
	return true
}
