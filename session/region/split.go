package region

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tokenring/balancer"
)

// Splits returns how many keys are live on two hosts at once as far as is known, and how often
// a key has begun to be.
func (r *Region) Splits() (now int, total uint64) {
	return int(r.splits.Load()), r.splitsTotal.Load()
}

// SplitAlarm tells operators which keys are live on two hosts at once. It is "" if none is.
func (r *Region) SplitAlarm() string {
	const named = 3 // keys, at most
	n := r.splits.Load()
	if n == 0 {
		return ""
	}
	var some []string
	for i := range r.shards {
		if len(some) < named {
			some = append(some, r.describeSplits(&r.shards[i])...)
		}
	}
	some = some[:min(len(some), named)]
	return fmt.Sprintf("%d tokens have terminals on two hosts at once, such as %s: lb ctl explain says where such a token goes now. Its terminals elsewhere are closed within seconds, once the balancers hear each other",
		max(n, int64(len(some))), strings.Join(some, "; "))
}

// describeSplits returns a text for each key of a shard that is live on two hosts.
func (r *Region) describeSplits(s *shard) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.SortedFunc(maps.Keys(s.split), func(a, b balancer.Digest) int { return cmp.Compare(a.String(), b.String()) }) {
		var hosts []string
		if host, n := r.sessions.Host(key); n > 0 {
			hosts = append(hosts, host+" (here)")
		}
		for slot, table := range s.peers {
			if e, ok := table[key]; ok && !e.cut {
				hosts = append(hosts, fmt.Sprintf("%s (%s)", r.names.text(e.host), (*r.peers.Load())[slot].name))
			}
		}
		all = append(all, key.String()+" on "+strings.Join(hosts, " and "))
	}
	return all
}

// checkSplit finds out whether a key is live on two hosts at once. s is locked.
func (r *Region) checkSplit(s *shard, key balancer.Digest) {
	_, was := s.split[key]
	is := r.isSplit(s, key)
	switch {
	case is && !was:
		if s.split == nil {
			s.split = map[balancer.Digest]uint32{}
		}
		s.split[key] = r.seconds(time.Now())
		r.splits.Add(1)
		r.splitsTotal.Add(1)
	case was && !is:
		delete(s.split, key)
		r.splits.Add(-1)
	}
}

// isSplit reports whether a key is live on two hosts at once. s is locked.
func (r *Region) isSplit(s *shard, key balancer.Digest) bool {
	host := ""
	for _, table := range s.peers {
		e, ok := table[key]
		if !ok || e.cut {
			continue
		}
		switch name := r.names.text(e.host); host {
		case name:
		case "":
			host = name
		default:
			return true
		}
	}
	if host == "" {
		return false
	}
	own, n := r.sessions.Host(key)
	return n > 0 && own != host
}

// splitPatience is how many seconds a key must have been live on two hosts until terminals are
// ended for it: what peers tell may be on its way.
const splitPatience = 2

// SplitRules are what matters when a key is live on two hosts. Its functions must not block and
// must not call the Region.
type SplitRules struct {
	// Keeps reports whether live sessions through a balancer, "" for this one, stay on a host.
	Keeps func(host, balancer string) bool
	// Connected reports whether a peer and this balancer hear each other.
	Connected func(peer string) bool
}

// ToEnd returns the keys whose terminals through this balancer are to be ended, because the
// keys have been live on two hosts for a while, and keep another one. That is, of the hosts that
// keep their sessions, the one that Host would choose if the terminals of this balancer counted
// as those of a peer. So all balancers that hear each other choose the same.
func (r *Region) ToEnd(now time.Time, rules SplitRules) (keys []balancer.Digest) {
	if r.splits.Load() == 0 {
		return nil
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for key, since := range s.split {
			if r.seconds(now) >= since+splitPatience && r.loses(s, key, rules) {
				keys = append(keys, key)
			}
		}
		s.mu.Unlock()
	}
	return keys
}

// loses reports whether a key that is live on two hosts keeps another one than that of its
// terminals through this balancer. s is locked.
func (r *Region) loses(s *shard, key balancer.Digest, rules SplitRules) bool {
	own, n := r.sessions.Host(key)
	if n == 0 {
		return false
	}
	peers := *r.peers.Load()
	var all []holder
	for slot, table := range s.peers {
		e, ok := table[key]
		switch {
		case !ok || e.cut:
		case !rules.Connected(peers[slot].name):
			return false
		case rules.Keeps(r.names.text(e.host), peers[slot].name):
			all = append(all, holder{host: e.host, by: int32(slot), terminals: e.terminals})
		}
	}
	if rules.Keeps(own, "") {
		all = append(all, holder{host: r.names.intern(own), by: here, terminals: int32(n)})
	}
	return len(all) > 0 && r.names.text(r.best(all).host) != own
}
