package balancer

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
)

// maxMembers is the largest sum of the weights of a consistent table: the costs
// of building one grow with the square of the sum.
const maxMembers = 4096

// consistentPolicy places slots with github.com/buraksezer/consistent v1.0.0.
// What the library makes of a set of members doesn't depend on how the set came
// about, but making it anew sorts the ring once per member. So it keeps the
// library's instance and applies differences to it.
type consistentPolicy struct {
	cfg     ConsistentConfig
	keys    keyHash
	ring    *consistent.Consistent // nil when nothing is kept
	members []member               // what ring holds, sorted
	load    float64                // the bound that ring was made with
}

// A member is one unit of a host's weight, under a name by memberName.
type member string

// String implements consistent.Member.
func (m member) String() string { return string(m) }

// hasher implements consistent.Hasher.
type hasher struct{}

func (hasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

func (p *consistentPolicy) name() string { return PolicyConsistent }

func (p *consistentPolicy) parameters() string {
	load := strconv.FormatFloat(p.cfg.Load, 'g', -1, 64)
	return fmt.Sprintf("partitions=%d replicas=%d load=%s", p.cfg.Partitions, p.cfg.Replicas, load) + p.keys.mark()
}

// fit implements policy.
func (p *consistentPolicy) fit(hosts []Host) error {
	switch total := totalWeight(hosts); {
	case total > maxMembers:
		return fmt.Errorf("the weights add up to %d; at most %d are possible", total, maxMembers)
	case total > p.cfg.Partitions:
		return fmt.Errorf("the weights add up to %d, and %d partitions aren't enough for that", total, p.cfg.Partitions)
	}
	return nil
}

// place implements policy.
func (p *consistentPolicy) place(hosts []Host) (layout, error) {
	members, hostOf := membersOf(hosts)
	ring, err := newRing(p.cfg, hosts)
	if err != nil {
		return layout{}, err
	}
	owners, err := p.owners(members, hostOf)
	if err != nil {
		return layout{}, err
	}
	return slotLayout(hosts, p.keys, owners, ring.heirs(owners)), nil
}

// consistentForecast is the policy without the library: its ring alone.
type consistentForecast struct{ *consistentPolicy }

// place implements policy.
func (p consistentForecast) place(hosts []Host) (layout, error) {
	ring, err := newRing(p.cfg, hosts)
	if err != nil {
		return layout{}, err
	}
	owners := ring.owners()
	return slotLayout(hosts, p.keys, owners, ring.heirs(owners)), nil
}

// membersOf returns the members that stand for hosts, sorted, and the index of
// each member's host.
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

// owners returns the host of each partition as the library has it. It turns a
// panic of the library into an error, and then keeps nothing, since an instance
// that has panicked may be half changed.
func (p *consistentPolicy) owners(members []member, hostOf map[string]uint16) (owners []uint16, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			p.ring, p.members = nil, nil
			err = fmt.Errorf("consistent: %v", cause)
		}
	}()
	p.follow(members)
	owners = make([]uint16, p.cfg.Partitions)
	for i := range owners {
		owners[i] = hostOf[p.ring.GetPartitionOwner(i).String()]
	}
	return owners, nil
}

// follow makes the kept instance hold exactly the members want.
func (p *consistentPolicy) follow(want []member) {
	gone, added := without(p.members, want), without(want, p.members)
	load := p.cfg.loadOf(len(want))
	if p.ring == nil || load != p.load || len(gone)+len(added) > len(want)/2 {
		p.ring, p.load = p.fresh(want), load
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

// fresh returns an instance with these members.
func (p *consistentPolicy) fresh(members []member) *consistent.Consistent {
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
