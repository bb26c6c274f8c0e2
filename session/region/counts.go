package region

import (
	"cmp"
	"slices"
)

// A PeerCount is how many keys a peer has live.
type PeerCount struct {
	Name string
	Keys int
}

// Peers returns the balancers that have a stream to this one, by name.
func (r *Region) Peers() (all []PeerCount) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range *r.peers.Load() {
		if p.open {
			all = append(all, PeerCount{p.name, int(p.live.Load())})
		}
	}
	slices.SortFunc(all, func(a, b PeerCount) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Count returns how many keys linger, those of vanished peers among them.
func (r *Region) Count() int {
	n := r.lingering.Load()
	for _, p := range *r.peers.Load() {
		n += p.cut.Load()
	}
	return int(n)
}

// Terminals returns how many terminals a host has through all peers together.
func (r *Region) Terminals(host string) int { return r.names.terminals(host) }
