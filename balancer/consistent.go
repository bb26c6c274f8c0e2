package balancer

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
)

// maxMembers is the largest sum of the weights of a consistent table: the time to
// build it grows with the square of the sum.
const maxMembers = 4096

// consistentPolicy places slots with github.com/buraksezer/consistent v1.0.0. The
// library's result depends on the set of members alone, not on earlier sets. A new
// instance sorts the ring once per member, so the policy keeps an instance and adds
// and removes members.
type consistentPolicy struct {
	cfg     ConsistentConfig
	keys    keyHash
	ring    *consistent.Consistent // nil when nothing is kept
	members []member               // what ring holds, sorted
	load    float64                // the bound with which ring was made
}

// A member is one unit of a host's weight, named by memberName.
type member string

// String implements consistent.Member.
func (m member) String() string { return string(m) }

// hasher implements consistent.Hasher.
type hasher struct{}

func (hasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

func (p *consistentPolicy) name() string { return PolicyConsistent }

func (p *consistentPolicy) parameters() string {
	load := strconv.FormatFloat(p.cfg.Load, 'g', -1, 64)
	return fmt.Sprintf("partitions=%d replicas=%d load=%s", p.cfg.Partitions, p.cfg.Replicas, load) + p.keys.parameters()
}

// check implements policy.
func (p *consistentPolicy) check(hosts []Host) error {
	switch total := totalWeight(hosts); {
	case total > maxMembers:
		return fmt.Errorf("the weights add up to %d; at most %d are possible", total, maxMembers)
	case total > p.cfg.Partitions:
		return fmt.Errorf("the weights add up to %d; at most %d are possible, the number of partitions", total, p.cfg.Partitions)
	}
	return nil
}

// place implements policy.
func (p *consistentPolicy) place(hosts []Host) (layout, error) {
	members, hostOf := membersOf(hosts)
	ring, err := newConsistentRing(p.cfg, hosts)
	if err != nil {
		return layout{}, err
	}
	owners, err := p.owners(members, hostOf)
	if err != nil {
		return layout{}, err
	}
	return slotLayout(hosts, p.keys, owners, ring.successors(owners)), nil
}

// consistentForecast is the policy without the library: it places slots by the
// consistentRing alone.
type consistentForecast struct{ *consistentPolicy }

// place implements policy.
func (p consistentForecast) place(hosts []Host) (layout, error) {
	ring, err := newConsistentRing(p.cfg, hosts)
	if err != nil {
		return layout{}, err
	}
	owners := ring.owners()
	return slotLayout(hosts, p.keys, owners, ring.successors(owners)), nil
}

// membersOf returns the members of hosts, sorted, and the index of each member's
// host by the member's name.
func membersOf(hosts []Host) ([]member, map[string]uint16) {
	var members []member
	hostOf := make(map[string]uint16)
	for i, h := range hosts {
		for k := range h.Weight {
			name := memberName(h.Name, k)
			members = append(members, member(name))
			hostOf[name] = uint16(i)
		}
	}
	slices.Sort(members)
	return members, hostOf
}

// owners returns the library's owner of each partition. If the library panics, it
// returns an error and drops the instance, which may be in an inconsistent state.
func (p *consistentPolicy) owners(members []member, hostOf map[string]uint16) (owners []uint16, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			p.ring, p.members = nil, nil
			err = fmt.Errorf("consistent: %v", cause)
		}
	}()
	p.update(members)
	owners = make([]uint16, p.cfg.Partitions)
	for i := range owners {
		owners[i] = hostOf[p.ring.GetPartitionOwner(i).String()]
	}
	return owners, nil
}

// update gives the kept instance exactly the members in want.
func (p *consistentPolicy) update(want []member) {
	gone, added := without(p.members, want), without(want, p.members)
	load := p.cfg.loadOf(len(want))
	if p.ring == nil || load != p.load || len(gone)+len(added) > len(want)/2 {
		p.ring, p.load = p.newInstance(want), load
	} else {
		for _, m := range gone {
			p.ring.Remove(m.String())
		}
		for _, m := range added {
			p.ring.Add(m)
		}
	}
	p.members = want
}

// newInstance returns an instance of the library with these members.
func (p *consistentPolicy) newInstance(members []member) *consistent.Consistent {
	list := make([]consistent.Member, len(members))
	for i, m := range members {
		list[i] = m
	}
	return consistent.New(list, consistent.Config{
		Hasher:            hasher{},
		PartitionCount:    p.cfg.Partitions,
		ReplicationFactor: p.cfg.Replicas,
		Load:              p.cfg.loadOf(len(members)),
	})
}

// without returns the members of a that aren't in b. Both are sorted.
func without(a, b []member) []member {
	var rest []member
	for _, m := range a {
		if _, found := slices.BinarySearch(b, m); !found {
			rest = append(rest, m)
		}
	}
	return rest
}
