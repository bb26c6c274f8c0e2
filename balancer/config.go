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

	// Those of pools whose requests have no key.
	PolicyRoundRobin       = "round-robin"
	PolicyLeastConnections = "least-connections"
)

// policies are the names that Config.Policy may have; keyless are those that place no keys.
var (
	policies = []string{PolicyConsistent, PolicyRendezvous, PolicyMaglev, PolicyKetama, PolicyHAProxy}
	keyless  = []string{PolicyRoundRobin, PolicyLeastConnections}
)

// minSeed is the least length in bytes of a seed that can't be guessed.
const minSeed = 16

// The limits of BoundedLoad. Just above 1, nearly half of the hosts are full.
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
	// Seed is a secret text of at least 16 bytes that goes into the hash of every key.
	// Without it users can choose tokens that all fall on one host. Default none.
	// Setting or changing it moves most keys. The policy haproxy can't have one.
	Seed string `yaml:"seed"`
	// BoundedLoad is a multiple of a host's share of the terminals, from 1.01 to 100.
	// A host that has more terminals gets no new keys: they go to the next of their
	// candidates. Default 0, no bound. Tables don't depend on it: the proxy applies it
	// to each new key, and each balancer counts its own terminals.
	BoundedLoad float64 `yaml:"bounded_load"`
	// The parameters of each policy. Validate also checks those of policies that
	// aren't chosen.
	Consistent ConsistentConfig `yaml:"consistent"`
	Rendezvous RendezvousConfig `yaml:"rendezvous"`
	Maglev     MaglevConfig     `yaml:"maglev"`
	Ketama     KetamaConfig     `yaml:"ketama"`
	HAProxy    HAProxyConfig    `yaml:"haproxy"`
}

// WithDefaults returns c with its zero fields filled in.
func (c Config) WithDefaults() Config {
	if len(c.Key) == 0 && !c.Keyless() {
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

// Keyless reports whether the policy spreads requests that have no key. A table is built by
// PolicyConsistent then, and no request is looked up in it.
func (c Config) Keyless() bool { return slices.Contains(keyless, c.Policy) }

// Parameters returns the parameters of the chosen policy, by their names in lb.yaml,
// with the defaults filled in. They don't include the seed, which is a secret.
func (c Config) Parameters() map[string]any {
	switch c = c.WithDefaults(); c.Policy {
	case PolicyConsistent:
		return map[string]any{"partitions": c.Consistent.Partitions, "replicas": c.Consistent.Replicas, "load": c.Consistent.Load}
	case PolicyRendezvous:
		return map[string]any{"slots": c.Rendezvous.Slots}
	case PolicyMaglev:
		return map[string]any{"slots": c.Maglev.Slots}
	case PolicyKetama:
		return map[string]any{"points": c.Ketama.Points, "names": c.Ketama.Names}
	case PolicyHAProxy:
		h := c.HAProxy
		return map[string]any{"type": h.Type, "function": h.Function, "avalanche": *h.Avalanche, "hash_key": h.HashKey}
	}
	return map[string]any{}
}

// A Problem is one mistake in a Config.
type Problem struct {
	// Path is the place of the mistake, relative to the Config, such as
	// "consistent.load" or "key[1].header". With "$.hash." in front it is a YAML path
	// of lb.yaml.
	Path    string
	Message string // what is wrong, and what would be right
}

// Error makes a Problem an error.
func (p Problem) Error() string { return p.Path + ": " + p.Message }

// Validate returns all problems of c with its defaults filled in. It returns none if
// c is valid.
func (c Config) Validate() []Problem {
	c = c.WithDefaults()
	var found []Problem
	for i, rule := range c.Key {
		found = append(found, rule.problems(i, c.Key)...)
	}
	if !slices.Contains(policies, c.Policy) && !c.Keyless() {
		found = append(found, Problem{"policy", fmt.Sprintf("there is no policy %q; known: %s", c.Policy, strings.Join(slices.Concat(policies, keyless), ", "))})
	}
	if c.Keyless() && len(c.Key) > 0 {
		found = append(found, Problem{"key", fmt.Sprintf("with the policy %s requests have no key; leave key out, or choose a policy that places keys", c.Policy)})
	}
	if c.Keyless() && c.BoundedLoad != 0 {
		found = append(found, Problem{"bounded_load", fmt.Sprintf("with the policy %s there are no keys that could pass a host by; leave it out", c.Policy)})
	}
	found = append(found, c.seedProblems()...)
	if c.BoundedLoad != 0 && !(c.BoundedLoad >= minBoundedLoad && c.BoundedLoad <= maxBoundedLoad) {
		found = append(found, Problem{"bounded_load", fmt.Sprintf("%g is not in %g..%d; a host may have this multiple of its share of the terminals, such as 1.25", c.BoundedLoad, minBoundedLoad, maxBoundedLoad)})
	}
	return slices.Concat(found, c.Consistent.problems(), c.Rendezvous.problems(), c.Maglev.problems(), c.Ketama.problems(), c.HAProxy.problems())
}

// seedProblems returns the problem of the seed, if it has one. Its message doesn't
// repeat the seed.
func (c Config) seedProblems() []Problem {
	switch {
	case c.Seed == "":
		return nil
	case c.Policy == PolicyHAProxy:
		return []Problem{{"seed", "the policy haproxy can't have a seed, since HAProxy has none; leave it out, or choose another policy"}}
	case len(c.Seed) < minSeed:
		return []Problem{{"seed", fmt.Sprintf("a seed of %d bytes can be guessed; use at least %d bytes, such as from: openssl rand -hex 16", len(c.Seed), minSeed)}}
	}
	return nil
}
