package balancer

import (
	"fmt"
	"slices"
	"strings"
)

// The names of the policies.
const (
	PolicyConsistent = "consistent" // the default: consistent hashing with bounded loads
	PolicyRendezvous = "rendezvous"
	PolicyMaglev     = "maglev"
	PolicyKetama     = "ketama"
	PolicyHAProxy    = "haproxy"
)

// policies are the names that Config.Policy may have.
var policies = []string{PolicyConsistent, PolicyRendezvous, PolicyMaglev, PolicyKetama, PolicyHAProxy}

// minSeed is the length that keeps a seed from being guessed.
const minSeed = 16

// The limits of BoundedLoad. Just above 1, nearly every second host is full.
const (
	minBoundedLoad = 1.01
	maxBoundedLoad = 100
)

// Config is the `hash` section: where the key of a request is, and how keys are
// placed on hosts. Its zero value means the defaults. All balancers of a region
// need the same one.
type Config struct {
	Key    []KeyRule `yaml:"key"`    // tried in order; default: the query parameter "token"
	Policy string    `yaml:"policy"` // default: consistent
	// Seed is a secret text of at least 16 bytes that goes into the hash of every key,
	// so that nobody can choose tokens that fall on one host. Default none. Setting
	// or changing it moves most keys. The policy haproxy can't have one.
	Seed string `yaml:"seed"`
	// BoundedLoad is how many times its share of the terminals a host may have when
	// it gets a new key, from 1.01 to 100; beyond, the key goes to the next of its
	// candidates. Default 0, no bound. Tables don't depend on it: who sends keys to
	// hosts keeps it, and each balancer for itself.
	BoundedLoad float64 `yaml:"bounded_load"`
	// The parameters of each policy; those of the others are checked, too.
	Consistent ConsistentConfig `yaml:"consistent"`
	Rendezvous RendezvousConfig `yaml:"rendezvous"`
	Maglev     MaglevConfig     `yaml:"maglev"`
	Ketama     KetamaConfig     `yaml:"ketama"`
	HAProxy    HAProxyConfig    `yaml:"haproxy"`
}

// WithDefaults returns c with its zero fields filled in.
func (c Config) WithDefaults() Config {
	if len(c.Key) == 0 {
		c.Key = []KeyRule{{Source: KeyQuery, Name: "token"}}
	}
	if c.Policy == "" {
		c.Policy = PolicyConsistent
	}
	c.Consistent = c.Consistent.withDefaults()
	c.Rendezvous = c.Rendezvous.withDefaults()
	c.Maglev = c.Maglev.withDefaults()
	c.Ketama = c.Ketama.withDefaults()
	c.HAProxy = c.HAProxy.withDefaults()
	return c
}

// Parameters returns those of the chosen policy, by their names in lb.yaml, with
// the defaults filled in. The seed, a secret, is none of them.
func (c Config) Parameters() map[string]any {
	switch c = c.WithDefaults(); c.Policy {
	case PolicyConsistent:
		return map[string]any{"partitions": c.Consistent.Partitions, "replicas": c.Consistent.Replicas, "load": c.Consistent.Load}
	case PolicyRendezvous:
		return map[string]any{"slots": c.Rendezvous.Slots}
	case PolicyMaglev:
		return map[string]any{"slots": c.Maglev.Slots}
	case PolicyKetama:
		return map[string]any{"points": c.Ketama.Points}
	case PolicyHAProxy:
		h := c.HAProxy
		return map[string]any{"type": h.Type, "function": h.Function, "avalanche": *h.Avalanche, "hash_key": h.HashKey}
	}
	return map[string]any{}
}

// A Problem is one fault of a Config.
type Problem struct {
	// Path is where it is, relative to the Config, such as "consistent.load" or
	// "key[1].header". With "$.hash." in front it is a YAML path of lb.yaml.
	Path    string
	Message string // what is wrong, and what would be right
}

// Error makes a Problem an error.
func (p Problem) Error() string { return p.Path + ": " + p.Message }

// Validate returns everything that is wrong with c once its defaults are filled
// in; nothing when c is sound.
func (c Config) Validate() []Problem {
	c = c.WithDefaults()
	var found []Problem
	for i, rule := range c.Key {
		found = append(found, rule.problems(i, c.Key)...)
	}
	if !slices.Contains(policies, c.Policy) {
		found = append(found, Problem{"policy", fmt.Sprintf("there is no policy %q; known: %s", c.Policy, strings.Join(policies, ", "))})
	}
	found = append(found, c.seedProblems()...)
	if c.BoundedLoad != 0 && !(c.BoundedLoad >= minBoundedLoad && c.BoundedLoad <= maxBoundedLoad) {
		found = append(found, Problem{"bounded_load", fmt.Sprintf("%g is not in %g..%d; it is how many times its share of the terminals a host may have, such as 1.25", c.BoundedLoad, minBoundedLoad, maxBoundedLoad)})
	}
	return slices.Concat(found, c.Consistent.problems(), c.Rendezvous.problems(), c.Maglev.problems(), c.Ketama.problems(), c.HAProxy.problems())
}

// seedProblems checks the seed, which it doesn't repeat.
func (c Config) seedProblems() []Problem {
	switch {
	case c.Seed == "":
		return nil
	case c.Policy == PolicyHAProxy:
		return []Problem{{"seed", "the policy haproxy hashes as HAProxy does, which has no seed; leave it out, or choose another policy"}}
	case len(c.Seed) < minSeed:
		return []Problem{{"seed", fmt.Sprintf("%d bytes can be guessed; use at least %d, such as from: openssl rand -hex 16", len(c.Seed), minSeed)}}
	}
	return nil
}
