package lease

import (
	"slices"
	"time"
)

// Leases are what a gate has been given by the balancers. Make them with New. All times are
// by one clock of the host that never goes back, since any moment. They aren't safe for
// concurrent use.
type Leases struct {
	host      string
	secret    []byte
	longest   time.Duration
	balancers map[Fingerprint]string // their names, by key
	given     map[Fingerprint]given
}

// given is the last proof of a balancer.
type given struct {
	made   time.Duration // when its challenge was
	lease  time.Duration // when the challenge of its last lease was made
	length time.Duration // of that lease; 0 if it has given none
	of     int
}

// New returns the leases of a host to which no balancer has given one. secret is of 32 random
// bytes that nobody else knows, and of this process: challenges of the one before are void.
// longest is the longest lease; 0 for those that balancers give. balancers has the names of
// the balancers by their keys.
func New(host string, secret []byte, longest time.Duration, balancers map[Fingerprint]string) *Leases {
	l := &Leases{host: host, secret: secret, longest: longest, given: map[Fingerprint]given{}}
	l.SetBalancers(balancers)
	return l
}

// SetBalancers replaces the balancers. What others have given counts no more.
func (l *Leases) SetBalancers(all map[Fingerprint]string) {
	l.balancers = all
	for key := range l.given {
		if _, ok := all[key]; !ok {
			delete(l.given, key)
		}
	}
}

// Challenge returns the challenge of now: a proof that has it counts from now on.
func (l *Leases) Challenge(now time.Duration) string { return challengeAt(now, l.secret) }

// Take takes the value of a check's field in. It returns which balancer the check comes from;
// or why it isn't known whether it comes from one. Of a balancer each challenge counts once, and
// none that is older than another that it has used.
func (l *Leases) Take(value string, now time.Duration) (balancer string, err error) {
	p, err := read(value, l.host)
	if err != nil {
		return "", err
	}
	key := fingerprintOf(p.key)
	balancer, ok := l.balancers[key]
	if !ok {
		return "", ErrUnknown
	}
	made, ok := madeAt(p.Challenge, l.secret)
	before, again := l.given[key]
	switch {
	case !ok, again && made <= before.made, p.Length > 0 && now >= made+l.capped(p.Length):
		return "", ErrStale
	case !verify(p):
		return "", ErrSignature
	}
	next := given{made: made, lease: before.lease, length: before.length, of: p.Of}
	if p.Length > 0 {
		next.lease, next.length = made, p.Length
	}
	l.given[key] = next
	return balancer, nil
}

// capped returns a length, or the longest that a lease may have.
func (l *Leases) capped(length time.Duration) time.Duration {
	if l.longest > 0 {
		return min(length, l.longest)
	}
	return length
}

// Until returns until when the host may serve: as long as a majority of the balancers has given
// leases, each as long as the shortest of all. It is zero if no majority has given any. A majority is more
// than half of the balancers that the gate knows, and of those of which any balancer speaks.
func (l *Leases) Until() time.Duration {
	known, shortest := len(l.balancers), time.Duration(0)
	var made []time.Duration
	for _, g := range l.given {
		known = max(known, g.of)
		if g.length == 0 {
			continue
		}
		made = append(made, g.lease)
		if shortest == 0 || g.length < shortest {
			shortest = g.length
		}
	}
	slices.Sort(made)
	majority := known/2 + 1
	if len(made) < majority {
		return 0
	}
	return made[len(made)-majority] + l.capped(shortest)
}

// Giving returns the names of the balancers whose last leases aren't over, sorted.
func (l *Leases) Giving(now time.Duration) (names []string) {
	for key, g := range l.given {
		if now < g.lease+l.capped(g.length) {
			names = append(names, l.balancers[key])
		}
	}
	slices.Sort(names)
	return names
}
