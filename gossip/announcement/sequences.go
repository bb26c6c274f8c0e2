package announcement

import (
	"cmp"
	"errors"
	"slices"

	"tokenring/route"
)

// A Sequence is the number of the last announcement that a host has signed with its
// key. It is kept on disk also for hosts that have left: otherwise a balancer that starts
// would believe an earlier announcement of such a host, which anybody with the pool's
// secret can repeat.
type Sequence struct {
	Host   string        `json:"host"`
	Key    route.HostKey `json:"key"`
	Number uint64        `json:"sequence"`
}

// Check says what is wrong with s.
func (s Sequence) Check() error {
	if s.Key.IsZero() || s.Number == 0 {
		return errors.New("a number needs the key of its host")
	}
	return route.CheckHostName(s.Host)
}

// MaxSequences is how many numbers are kept.
const MaxSequences = 4096

// Sequences returns the numbers of the hosts that have signed with the key that SetKey or
// the configuration has set, sorted by host. If there are too many, it returns the latest.
func (k *Keys) Sequences() (all []Sequence) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for host, known := range k.hosts {
		_, configured := k.configured[host]
		if (known.kept || configured) && known.key == k.keyLocked(host) && known.sequence > 0 {
			all = append(all, Sequence{host, known.key, known.sequence})
		}
	}
	if len(all) > MaxSequences {
		slices.SortFunc(all, func(a, b Sequence) int {
			return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.Host, b.Host))
		})
		all = all[:MaxSequences]
	}
	slices.SortFunc(all, func(a, b Sequence) int { return cmp.Compare(a.Host, b.Host) })
	return all
}

// RestoreSequences takes in the numbers of an earlier run. It ignores those of keys that
// neither SetKey nor the configuration has set.
func (k *Keys) RestoreSequences(all []Sequence) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range all {
		if k.keyLocked(s.Host) != s.Key {
			continue
		}
		known := k.knownLocked(s.Host, s.Key)
		known.sequence = max(known.sequence, s.Number)
	}
}
