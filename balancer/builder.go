package balancer

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The limits of a table.
const (
	maxWeight = 256  // of a host
	maxHosts  = 4096 // with a weight above 0
)

// A Builder makes the tables of one Config. For `consistent` it keeps what it
// needs to follow small changes cheaply: with 1,000 hosts at the default
// parameters, a table for one host more or less takes about 0.1 s, but the first
// one, and one that differs in more than half of its hosts, 10 to 15 s (0.4 s with
// 200 hosts). The other policies take as long for each table: with 1,000 hosts from
// some milliseconds (haproxy) to two or three seconds (maglev). A Builder isn't
// safe for concurrent use.
type Builder struct {
	policy policy
}

// NewBuilder returns a Builder for cfg with its defaults filled in. The error
// joins all that Config.Validate finds.
func NewBuilder(cfg Config) (*Builder, error) {
	var faults []error
	for _, problem := range cfg.Validate() {
		faults = append(faults, problem)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return &Builder{policy: newPolicy(cfg.WithDefaults())}, nil
}

// newPolicy returns the policy that cfg names. cfg is sound and complete.
func newPolicy(cfg Config) policy {
	keys := newKeyHash(cfg.Seed)
	switch cfg.Policy {
	case PolicyRendezvous:
		return &rendezvousPolicy{cfg: cfg.Rendezvous, keys: keys}
	case PolicyMaglev:
		return &maglevPolicy{cfg: cfg.Maglev, keys: keys}
	case PolicyKetama:
		return &ketamaPolicy{cfg: cfg.Ketama, keys: keys}
	case PolicyHAProxy:
		return newHAProxyPolicy(cfg.HAProxy)
	}
	return &consistentPolicy{cfg: cfg.Consistent, keys: keys}
}

// Build returns the table for hosts, which may come in any order and stay the
// caller's. Hosts of weight 0 are left out; no hosts make an empty table. It is
// an error if a name is empty, repeated or contains '#', if a weight isn't in
// 0..256, if there are more than 4096 hosts, or if the policy can't place them:
// each says in its Config what it needs. After an error the tables built before
// remain right, and the next Build isn't affected.
func (b *Builder) Build(hosts []Host) (*Table, error) {
	placed, err := arrange(hosts)
	if err != nil {
		return nil, fmt.Errorf("build %s table: %w", b.policy.name(), err)
	}
	var l layout
	if len(placed) > 0 {
		if l, err = b.policy.place(placed); err != nil {
			return nil, fmt.Errorf("build %s table: %w", b.policy.name(), err)
		}
	}
	return newTable(b.policy, placed, l), nil
}

// arrange returns the hosts that belong in a table, sorted by name.
func arrange(hosts []Host) ([]Host, error) {
	sorted := slices.Clone(hosts)
	slices.SortFunc(sorted, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	for i, h := range sorted {
		switch {
		case h.Name == "":
			return nil, errors.New("a host has no name")
		case strings.Contains(h.Name, "#"):
			return nil, fmt.Errorf("host %q: a name can't contain '#'", h.Name)
		case i > 0 && h.Name == sorted[i-1].Name:
			return nil, fmt.Errorf("host %q is there twice", h.Name)
		case h.Weight < 0 || h.Weight > maxWeight:
			return nil, fmt.Errorf("host %q: weight %d is not in 0..%d", h.Name, h.Weight, maxWeight)
		}
	}
	sorted = slices.DeleteFunc(sorted, func(h Host) bool { return h.Weight == 0 })
	if len(sorted) > maxHosts {
		return nil, fmt.Errorf("there are %d hosts; at most %d are possible", len(sorted), maxHosts)
	}
	return sorted, nil
}

func totalWeight(hosts []Host) (total int) {
	for _, h := range hosts {
		total += h.Weight
	}
	return total
}
