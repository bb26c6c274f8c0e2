package balancer

import (
	"cmp"
	"fmt"
	"slices"
)

// The limits of hosts' IDs under the policy haproxy.
const (
	// MaxHAProxyID is the largest ID that HAProxy takes; the least is 1.
	MaxHAProxyID = 1<<31 - 1
	// HAProxyIDs is the number of IDs that HAProxy's ring can distinguish. It
	// multiplies an ID by 4096 in 32 bits, so two IDs that are equal modulo HAProxyIDs
	// get the same points.
	HAProxyIDs = 1 << 20
)

// haproxyPolicy reproduces HAProxy's `hash-type consistent`, by the rules in
// docs/hashing.md, which were compared with HAProxy 2.6 and 3.5. A host with the ID
// P has 16 points per unit of weight, the j-th at mix32(P*4096+j). A key belongs to
// the nearest point on either side. Points of a host that can't serve are ignored,
// as HAProxy ignores those of a server that is down.
type haproxyPolicy struct {
	cfg  HAProxyConfig
	hash func([]byte) uint32
}

// haproxyScale is the number of points per unit of weight.
const haproxyScale = 16

func newHAProxyPolicy(cfg HAProxyConfig) policy {
	p := haproxyPolicy{cfg: cfg, hash: haproxyHash(cfg.Function, *cfg.Avalanche)}
	if cfg.Type == HAProxyMapBased {
		return &haproxyMapPolicy{p}
	}
	return &p
}

func (p *haproxyPolicy) name() string { return PolicyHAProxy }

func (p *haproxyPolicy) parameters() string {
	return fmt.Sprintf("type=%s function=%s avalanche=%t hash_key=%s", p.cfg.Type, p.cfg.Function, *p.cfg.Avalanche, p.cfg.HashKey)
}

// space returns the space of the configured function. Plain CRC-32 is also the hash
// of ketama, so the two have the same space.
func (p *haproxyPolicy) space() space {
	if p.cfg.Function == "crc32" && !*p.cfg.Avalanche {
		return space{function: crcSpace}
	}
	return space{function: fmt.Sprintf("haproxy %s %t", p.cfg.Function, *p.cfg.Avalanche)}
}

// check implements policy.
func (p *haproxyPolicy) check(hosts []Host) error {
	if err := checkIDs(hosts); err != nil {
		return err
	}
	return checkPoints(hosts, haproxyScale)
}

// place implements policy.
func (p *haproxyPolicy) place(hosts []Host) (layout, error) {
	l := newHashRing(p.points(hosts, byID(hosts)), len(hosts), true, p.hash).layout(p.space())
	l.numbered = true
	return l, nil
}

// points returns the points of hosts in the order in which HAProxy inserts them.
// order holds the indices of hosts in HAProxy's order.
func (p *haproxyPolicy) points(hosts []Host, order []uint16) []point {
	var points []point
	for _, i := range order {
		base := hosts[i].ID * 4096
		if p.cfg.HashKey == HAProxyHashKey30 {
			base = mix32(hosts[i].ID)
		}
		for j := range uint32(hosts[i].Weight * haproxyScale) {
			points = append(points, point{mix32(base + j), i})
		}
	}
	return points
}

// checkIDs returns an error if HAProxy can't have servers with the IDs of hosts, or
// can't distinguish them.
func checkIDs(hosts []Host) error {
	first := make(map[uint32]Host, len(hosts))
	for _, h := range hosts {
		if h.ID == 0 || h.ID > MaxHAProxyID {
			return fmt.Errorf("host %q has the id %d; this policy needs one in 1..%d", h.Name, h.ID, MaxHAProxyID)
		}
		if other, found := first[h.ID%HAProxyIDs]; found {
			return fmt.Errorf("hosts %q and %q have the ids %d and %d, which HAProxy can't distinguish: give them ids that differ modulo %d",
				other.Name, h.Name, other.ID, h.ID, HAProxyIDs)
		}
		first[h.ID%HAProxyIDs] = h
	}
	return nil
}

// byID returns the indices of hosts in the order of their IDs. It is used in place of
// HAProxy's order of server lines.
func byID(hosts []Host) []uint16 {
	order := make([]uint16, len(hosts))
	for i := range order {
		order[i] = uint16(i)
	}
	slices.SortFunc(order, func(a, b uint16) int { return cmp.Compare(hosts[a].ID, hosts[b].ID) })
	return order
}
