package pool

import (
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// noticeFor is how long operators are told that other hosts serve the keys of hosts
// that vanished together.
const noticeFor = 15 * time.Minute

// A notice says that hosts vanished together and that others serve their keys: a
// key is on two hosts if those live on. The zero notice says nothing.
type notice struct {
	at    time.Time
	hosts []string // that vanished
	why   string   // the ring isn't frozen
}

// noteFreeze logs what is new of the freeze, and keeps the notice. It returns when that
// ends; zero if there is none.
func (k *keeper) noteFreeze(before freeze, now time.Time) (next time.Time) {
	f := k.freeze
	k.gone = k.vanished(before, now)
	if before.frozen {
		k.noteThaw(before, now)
	}
	switch {
	case f.frozen && !f.since.Equal(before.since): // for the first time, or anew
		if !before.frozen {
			k.notice = notice{}
		}
		k.gone = k.vanished(freeze{}, now)
		k.logVanished(zerolog.ErrorLevel, k.gone, f.ring).Time("until", f.until).Msg("too many hosts of the ring vanished at once: the ring is frozen")
	case f.small && !before.small:
		k.notice = notice{now, k.gone, fmt.Sprintf("a ring of fewer than %d hosts isn't frozen while one is left", k.p.patience.freeze.MinHosts)}
		k.logVanished(zerolog.ErrorLevel, k.gone, f.ring).Msg("too many hosts of the ring vanished at once: it is too small to be frozen, and those that are left serve their tokens")
	case f.small:
		k.notice.hosts = k.gone
	}
	if now.Sub(k.notice.at) >= noticeFor || !slices.ContainsFunc(k.notice.hosts, k.missed) {
		k.notice = notice{}
		return time.Time{}
	}
	return k.notice.at.Add(noticeFor)
}

// noteThaw logs that the freeze of before has ended, if it has. Hosts for which the ring
// is frozen anew at once are still waited for.
func (k *keeper) noteThaw(before freeze, now time.Time) {
	f := k.freeze
	switch {
	case !f.expired.Equal(before.expired):
		var anew []string
		if f.frozen {
			anew = k.vanished(freeze{}, now)
		}
		hosts := slices.DeleteFunc(slices.Clone(k.gone), func(host string) bool { return slices.Contains(anew, host) })
		k.expiries++
		k.notice = notice{now, hosts, fmt.Sprintf("the freeze of the ring ended after %v without their return", k.p.patience.freeze.For)}
		k.logVanished(zerolog.ErrorLevel, hosts, before.ring).Msg("the freeze of the ring has ended by itself: other hosts serve the tokens of those that vanished")
	case !f.frozen:
		k.logVanished(zerolog.InfoLevel, k.gone, before.ring).Msg("the ring has thawed")
	}
}

// logVanished begins a line about hosts that vanished from a ring of so many.
func (k *keeper) logVanished(level zerolog.Level, hosts []string, ring int) *zerolog.Event {
	return k.log.WithLevel(level).Strs("hosts", hosts).Int("vanished", len(hosts)).Int("ring", ring)
}

// vanished returns the names of the hosts of the ring that vanished together, as of
// the freeze; of the one before, if that has just ended.
func (k *keeper) vanished(before freeze, now time.Time) (hosts []string) {
	f := k.freeze
	if before.frozen {
		f = before
	}
	from := f.from(now, k.p.patience)
	for _, h := range k.hosts {
		fails := h.heard.Verdict == Down || f.frozen && h.heard.Verdict == Unchecked
		if fails && h.ruling.inRing && h.ruling.failingAt.After(from) {
			hosts = append(hosts, h.name)
		}
	}
	return hosts
}

// missed reports whether operators want the host and it doesn't pass its checks.
func (k *keeper) missed(host string) bool {
	i, known := k.find(host)
	return !known || k.hosts[i].heard.Verdict != Up && k.decided.state(host).State == Ready
}

// freezeAlarm says that the ring is frozen, or was without effect, and what to do; ""
// if neither.
func (k *keeper) freezeAlarm() string {
	const gone = "put those that are gone for good in maintenance (lb ctl maint NAME)"
	if f := k.freeze; f.frozen {
		return fmt.Sprintf("%d of the %d hosts that were up vanished at once (%s): the ring is frozen until %s at the latest, and tokens of these hosts get 503. "+
			"It thaws when they return or when new hosts that pass their checks replace them; %s",
			f.gone, f.ring, few(k.gone), f.until.UTC().Format(time.RFC3339), gone)
	}
	if n := k.notice; len(n.hosts) > 0 {
		return fmt.Sprintf("%d hosts of the ring vanished at once (%s), and since %s others serve their tokens: %s. "+
			"If they run still and only the network is broken, a user may be on two hosts: stop them or mend the network; %s",
			len(n.hosts), few(n.hosts), n.at.UTC().Format(time.RFC3339), n.why, gone)
	}
	return ""
}
