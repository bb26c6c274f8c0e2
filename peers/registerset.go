package peers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/route"
)

// A class is kinds whose registers are bounded together.
type class int

const (
	overrides class = iota
	slowStarts
	hostKeys
	precedences
	unknownKinds
	classes
)

// limits are how many registers of a class there may be. Those of known hosts are kept
// beyond that: there are at most five for each host.
var limits = [classes]int{overrides: 8192, slowStarts: 4096, hostKeys: 4096, precedences: 4096, unknownKinds: 1024}

func (k Kind) class() class {
	switch k {
	case KindState, KindWeight:
		return overrides
	case KindSlowStart:
		return slowStarts
	case KindHostKey:
		return hostKeys
	case KindPrecedence:
		return precedences
	}
	return unknownKinds
}

// A Set holds the register with the greatest version of each topic. It is not safe
// for concurrent use.
type Set struct {
	known    func(host string) bool
	all      map[Topic]kept
	counts   [classes]int
	partial  int       // how many there are of which this version understands a part, or nothing
	latest   time.Time // the date of the latest override that has come
	clock    Clock
	nextScan time.Time // before that, no tombstone is dropped; zero: there is none

	crowded map[string]bool // machines of which a key has come since the last Prune
	refused bool            // one of an unknown kind was refused, and there is no room for it still
}

// A kept is a register and when this balancer learned it.
type kept struct {
	Register
	learned time.Time // or when its host was known last, if that is later
}

// NewSet returns an empty Set. known reports whether a host is known here: the
// registers of such a host are kept whatever their age and number. nil stands for no
// host at all.
func NewSet(known func(host string) bool) *Set {
	if known == nil {
		known = func(string) bool { return false }
	}
	return &Set{known: known, all: map[Topic]kept{}, crowded: map[string]bool{}}
}

// Len returns how many registers there are.
func (s *Set) Len() int { return len(s.all) }

// Restore takes in what this balancer knew before, at whatever age.
func (s *Set) Restore(registers []Register, now time.Time) {
	for _, r := range registers {
		s.put(r, now)
	}
}

// Merge takes r in and reports whether it is news. A tombstone that has expired is no
// news where there is nothing that it could end.
func (s *Set) Merge(r Register, now time.Time) bool {
	if _, ok := s.all[r.Topic]; !ok && r.expired(now) && !s.isOfKnownHost(r) {
		return false
	}
	return s.put(r, now)
}

// isOfKnownHost reports whether r is of a kind that this version knows, and its host is
// known here.
func (s *Set) isOfKnownHost(r Register) bool { return r.value != nil && s.known(r.Topic.Key) }

// put takes r in if it has the greatest version of its topic. It takes in no more
// registers of unknown kinds than there may be.
func (s *Set) put(r Register, now time.Time) bool {
	old, ok := s.all[r.Topic]
	if ok && r.Version.Compare(old.Version) <= 0 {
		return false
	}
	if !ok {
		class := r.Topic.Kind.class()
		if class == unknownKinds && s.counts[class] >= limits[class] {
			s.refused = true
			return false
		}
		s.counts[class]++
	}
	if r.isPartial() {
		s.partial++
	}
	if old.isPartial() {
		s.partial--
	}
	if o, ok := r.Override(); ok && o.At.After(s.latest) {
		s.latest = o.At
	}
	if k, ok := r.HostKey(); ok && k.Machine != "" {
		s.crowded[k.Machine] = true
	}
	s.all[r.Topic] = kept{r, now}
	if !r.Expires.IsZero() {
		s.scanAt(lastNeeded(s.all[r.Topic]))
	}
	return true
}

func (s *Set) scanAt(t time.Time) {
	if s.nextScan.IsZero() || t.Before(s.nextScan) {
		s.nextScan = t
	}
}

// lastNeeded returns until when the tombstone k is kept. It counts from when it was
// learned, too: the clock that dated it may be behind.
func lastNeeded(k kept) time.Time {
	if learned := k.learned.Add(tombstoneLife); learned.After(k.Expires) {
		return learned
	}
	return k.Expires
}

// rescan is how long a tombstone of a known host is left alone.
const rescan = time.Hour

// Expire drops the tombstones that are needed no more, and returns their topics in order.
// Those of known hosts stay: they say who has ended the override.
func (s *Set) Expire(now time.Time) (dropped []Topic) {
	if s.nextScan.IsZero() || !now.After(s.nextScan) {
		return nil
	}
	s.nextScan = time.Time{}
	for topic, k := range s.all {
		switch until := lastNeeded(k); {
		case k.Expires.IsZero():
		case !now.After(until):
			s.scanAt(until)
		case s.isOfKnownHost(k.Register):
			s.scanAt(now.Add(rescan))
		default:
			s.drop(topic)
			dropped = append(dropped, topic)
		}
	}
	slices.SortFunc(dropped, Topic.compare)
	return dropped
}

// Renew keeps the tombstones of a host as if they had come now. It is called when a host
// that was known is known no more: the host may come back, and a balancer that has been
// down for longer may have what the tombstones have ended.
func (s *Set) Renew(host string, now time.Time) {
	for _, kind := range []Kind{KindState, KindWeight} {
		topic := Topic{kind, host}
		if k, ok := s.all[topic]; ok && !k.Expires.IsZero() {
			s.all[topic] = kept{k.Register, now}
		}
	}
}

func (s *Set) drop(topic Topic) {
	s.counts[topic.Kind.class()]--
	if s.all[topic].isPartial() {
		s.partial--
	}
	if topic.Kind.class() == unknownKinds {
		s.refused = false
	}
	delete(s.all, topic)
}

// Forget drops what is of no use of a host that was known and is known no more, and returns
// its topics.
func (s *Set) Forget(host string) (dropped []Topic) {
	topic := Topic{KindPrecedence, host}
	if _, ok := s.all[topic]; ok {
		s.drop(topic)
		dropped = append(dropped, topic)
	}
	return dropped
}

// Prune drops the oldest overrides, slow starts and keys of unknown hosts, until there are
// no more than there may be. It returns their topics.
func (s *Set) Prune() (dropped []Topic) {
	dropped = s.pruneMachines()
	for _, c := range []class{overrides, slowStarts, hostKeys, precedences} {
		dropped = append(dropped, s.prune(c, limits[c])...)
	}
	return dropped
}

// maxMachineKeys is how many learned keys of unknown hosts are kept of one machine: twice as
// many as the hosts that it may have by default. A machine may announce one name after the
// other, and must not use up the room for the keys of others.
const maxMachineKeys = 16

// pruneMachines drops the oldest learned keys of unknown hosts, until no machine has more
// than it may have.
func (s *Set) pruneMachines() (dropped []Topic) {
	if len(s.crowded) == 0 {
		return nil
	}
	learned := map[string][]HostKey{}
	for topic, kept := range s.all {
		if k, ok := kept.HostKey(); ok && k.By == "" && s.crowded[k.Machine] && !s.known(topic.Key) {
			learned[k.Machine] = append(learned[k.Machine], k)
		}
	}
	for _, keys := range learned {
		slices.SortFunc(keys, HostKey.compareAge)
		for _, k := range keys[:max(0, len(keys)-maxMachineKeys)] {
			s.drop(Topic{KindHostKey, k.Host})
			dropped = append(dropped, Topic{KindHostKey, k.Host})
		}
	}
	clear(s.crowded)
	slices.SortFunc(dropped, Topic.compare)
	return dropped
}

// prune drops the oldest registers of a class that are of unknown hosts, until no more
// than limit remain.
func (s *Set) prune(c class, limit int) (dropped []Topic) {
	excess := s.counts[c] - limit
	if excess <= 0 {
		return nil
	}
	var strangers []Register
	for topic, k := range s.all {
		if topic.Kind.class() == c && !s.known(topic.Key) {
			strangers = append(strangers, k.Register)
		}
	}
	slices.SortFunc(strangers, Register.compareAge)
	for _, r := range strangers[:min(excess, len(strangers))] {
		s.drop(r.Topic)
		dropped = append(dropped, r.Topic)
	}
	return dropped
}

// sortByTopic sorts registers of which no two have the same topic.
func sortByTopic(all []Register) {
	slices.SortFunc(all, func(a, b Register) int { return a.Topic.compare(b.Topic) })
}

// All returns the registers, sorted by topic.
func (s *Set) All() []Register {
	all := make([]Register, 0, len(s.all))
	for _, k := range s.all {
		all = append(all, k.Register)
	}
	sortByTopic(all)
	return all
}

// Find returns the register of a topic, false if there is none.
func (s *Set) Find(topic Topic) (Register, bool) {
	k, ok := s.all[topic]
	return k.Register, ok
}

// UnknownAlarm says which registers have more to them than is in force here; "" if
// there are none.
func (s *Set) UnknownAlarm() string {
	if s.partial == 0 {
		return ""
	}
	var hosts, kinds []string
	for topic, k := range s.all {
		switch {
		case !k.isPartial():
		case k.value == nil:
			kinds = append(kinds, fmt.Sprintf("%.40q", string(topic.Kind)))
		default:
			hosts = append(hosts, topic.Key)
		}
	}
	var what []string
	if slices.Sort(hosts); len(hosts) > 0 {
		what = append(what, "overrides of "+route.ShortList(slices.Compact(hosts))+" have more to them than this version of lb understands")
	}
	if slices.Sort(kinds); len(kinds) > 0 {
		what = append(what, "this version of lb doesn't understand what later ones say of "+route.ShortList(slices.Compact(kinds)))
	}
	alarm := strings.Join(what, ", and ") + ": that is kept but isn't in force here; run the version that it comes from"
	if s.refused {
		alarm += fmt.Sprintf(" (of kinds that it doesn't know, this version keeps %d registers, and refuses the others)", limits[unknownKinds])
	}
	return alarm
}
