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
// 200 hosts, and at the step from 200 to 201). The other policies take as long for each table: with 1,000 hosts from
// some milliseconds (haproxy) to two or three seconds (maglev). A Builder isn't
// safe for concurrent use.
type Builder struct {
	policy policy
	rules  string // where the key of a request is, for the digest; "" for the default
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
	cfg = cfg.WithDefaults()
	b := &Builder{policy: newPolicy(cfg)}
	if !slices.Equal(cfg.Key, Config{}.WithDefaults().Key) {
		b.rules = fmt.Sprint(cfg.Key)
	}
	return b, nil
}

// NewForecaster returns a Builder that builds the same tables, bit for bit, and keeps
// nothing: for `consistent` it computes by itself what the library would say, with
// 1,000 hosts in 0.1 s. Errors are NewBuilder's.
func NewForecaster(cfg Config) (*Builder, error) {
	b, err := NewBuilder(cfg)
	if err != nil {
		return nil, err
	}
	if p, ok := b.policy.(*consistentPolicy); ok {
		b.policy = consistentForecast{p}
	}
	return b, nil
}

// Forecasts reports whether b computes by itself what a library would say, so that
// NewBuilder's tables are worth comparing with its own.
func (b *Builder) Forecasts() bool {
	_, forecasts := b.policy.(consistentForecast)
	return forecasts
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
	placed, err := arrange(b.policy, hosts)
	if err != nil {
		return nil, fmt.Errorf("build %s table: %w", b.policy.name(), err)
	}
	var l layout
	if len(placed) > 0 {
		if l, err = b.policy.place(placed); err != nil {
			return nil, fmt.Errorf("build %s table: %w", b.policy.name(), err)
		}
	}
	return newTable(b.policy, b.rules, placed, l), nil
}

// Check says why no table can be built of hosts, nil if one can: that they are too
// many or too heavy for the policy, or have numbers that it can't use. It builds
// nothing: with 1,000 hosts it takes some 15 to 80 µs. If it lets hosts pass, it lets
// any part of them pass. Two things it leaves to Build: whether a name is
// there twice, and whether points of two hosts coincide, which happens by intent
// alone. c must be sound (Validate).
func (c Config) Check(hosts []Host) error {
	_, err := fitting(newPolicy(c.WithDefaults()), hosts)
	return err
}

// arrange returns the hosts that belong in a table of the policy, sorted by name.
func arrange(p policy, hosts []Host) ([]Host, error) {
	sorted := slices.Clone(hosts)
	slices.SortFunc(sorted, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].Name == sorted[i-1].Name {
			return nil, fmt.Errorf("host %q is there twice", sorted[i].Name)
		}
	}
	return fitting(p, sorted)
}

// fitting returns those of hosts that have a weight, or why the policy can't place
// them.
func fitting(p policy, hosts []Host) ([]Host, error) {
	placed := make([]Host, 0, len(hosts))
	for _, h := range hosts {
		switch {
		case h.Name == "":
			return nil, errors.New("a host has no name")
		case strings.Contains(h.Name, "#"):
			return nil, fmt.Errorf("host %q: a name can't contain '#'", h.Name)
		case h.Weight < 0 || h.Weight > maxWeight:
			return nil, fmt.Errorf("host %q: weight %d is not in 0..%d", h.Name, h.Weight, maxWeight)
		case h.Weight > 0:
			placed = append(placed, h)
		}
	}
	if len(placed) > maxHosts {
		return nil, fmt.Errorf("there are %d hosts; at most %d are possible", len(placed), maxHosts)
	}
	if len(placed) == 0 {
		return placed, nil
	}
	return placed, p.fit(placed)
}

func totalWeight(hosts []Host) (total int) {
	for _, h := range hosts {
		total += h.Weight
	}
	return total
}
