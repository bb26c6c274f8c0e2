package balancer

import (
	"cmp"
	"fmt"
	"slices"
)

// What hosts' numbers may be under the policy haproxy.
const (
	// MaxHAProxyID is the largest number that HAProxy takes; 1 is the least.
	MaxHAProxyID = 1<<31 - 1
	// HAProxyIDs is how many numbers HAProxy's ring tells apart: it multiplies them
	// by 4096 in 32 bits, so that two that are equal modulo this get the same points.
	HAProxyIDs = 1 << 20
)

// haproxyPolicy reproduces HAProxy's `hash-type consistent`, from the rules in
// docs/hashing.md, which were held against HAProxy 2.6 and 3.5: a host with
// the number P has 16 points per unit of weight, the j-th at mix32(P*4096+j), and
// a key belongs to the nearest point on either side. A host that can't serve is as
// one that has no points, as in HAProxy when a server is down.
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

// space returns the space of the configured function. CRC-32 is ketama's, too.
func (p *haproxyPolicy) space() space {
	if p.cfg.Function == "crc32" && !*p.cfg.Avalanche {
		return space{function: crcSpace}
	}
	return space{function: fmt.Sprintf("haproxy %s %t", p.cfg.Function, *p.cfg.Avalanche)}
}

// fit implements policy.
func (p *haproxyPolicy) fit(hosts []Host) error {
	if err := fitIDs(hosts); err != nil {
		return err
	}
	return fitCircle(hosts, haproxyScale)
}

// place implements policy.
func (p *haproxyPolicy) place(hosts []Host) (layout, error) {
	l := newCircle(p.marks(hosts, byID(hosts)), len(hosts), true, p.hash).layout(p.space())
	l.numbered = true
	return l, nil
}

// marks returns the points of hosts in the order in which HAProxy inserts them,
// given as indices.
func (p *haproxyPolicy) marks(hosts []Host, order []uint16) []mark {
	var marks []mark
	for _, i := range order {
		base := hosts[i].ID * 4096
		if p.cfg.HashKey == HAProxyHashKey30 {
			base = mix32(hosts[i].ID)
		}
		for j := range uint32(hosts[i].Weight * haproxyScale) {
			marks = append(marks, mark{mix32(base + j), i})
		}
	}
	return marks
}

// fitIDs says why HAProxy couldn't have, or couldn't tell apart, servers with the
// numbers of hosts, nil if it could.
func fitIDs(hosts []Host) error {
	first := make(map[uint32]Host, len(hosts))
	for _, h := range hosts {
		if h.ID == 0 || h.ID > MaxHAProxyID {
			return fmt.Errorf("host %q has the id %d; this policy needs one in 1..%d", h.Name, h.ID, MaxHAProxyID)
		}
		if other, found := first[h.ID%HAProxyIDs]; found {
			return fmt.Errorf("hosts %q and %q have the ids %d and %d, which HAProxy can't tell apart: give them ids that differ modulo %d",
				other.Name, h.Name, other.ID, h.ID, HAProxyIDs)
		}
		first[h.ID%HAProxyIDs] = h
	}
	return nil
}

// byID returns the indices of hosts in the order of their numbers, which stands
// for HAProxy's order of server lines.
func byID(hosts []Host) []uint16 {
	order := make([]uint16, len(hosts))
	for i := range order {
		order[i] = uint16(i)
	}
	slices.SortFunc(order, func(a, b uint16) int { return cmp.Compare(hosts[a].ID, hosts[b].ID) })
	return order
}
