package balancer

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// PolicyConsistent is the name of the default policy: consistent hashing with
// bounded loads.
const PolicyConsistent = "consistent"

// policies are the names that Config.Policy may have.
var policies = []string{PolicyConsistent}

// The limits of a ConsistentConfig. Below minLoad nearly every host is full to
// its last slot, and a host that leaves drags other hosts' keys along.
const (
	maxPartitions = 1 << 17
	maxReplicas   = 1000
	minLoad       = 1.05
	maxLoad       = 10
)

// Config is the `hash` section: where the key of a request is, and how keys are
// placed on hosts. Its zero value means the defaults. All balancers of a region
// need the same one.
type Config struct {
	Key        []KeyRule        `yaml:"key"`    // tried in order; default: the query parameter "token"
	Policy     string           `yaml:"policy"` // default: consistent
	Consistent ConsistentConfig `yaml:"consistent"`
}

// ConsistentConfig holds the parameters of the policy `consistent`. Changing any
// of them moves most keys. Zero means the default.
type ConsistentConfig struct {
	// Partitions is the number of slots. Default 16381, a prime; at most 131072.
	Partitions int `yaml:"partitions"`
	// Replicas is the number of points on the ring per unit of weight. Default
	// 160, at most 1000. Few points make uneven shares and few heirs.
	Replicas int `yaml:"replicas"`
	// Load bounds the slots of a host to this multiple of its fair share, rounded
	// up. Default 1.25; from 1.05 (even shares, but a host that leaves moves more
	// of the others' keys) to 10 (in effect no bound).
	Load float64 `yaml:"load"`
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
	return c
}

func (c ConsistentConfig) withDefaults() ConsistentConfig {
	if c.Partitions == 0 {
		c.Partitions = 16381
	}
	if c.Replicas == 0 {
		c.Replicas = 160
	}
	if c.Load == 0 {
		c.Load = 1.25
	}
	return c
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
	return append(found, c.Consistent.problems()...)
}

func (c ConsistentConfig) problems() []Problem {
	var found []Problem
	if c.Partitions < 1 || c.Partitions > maxPartitions {
		found = append(found, Problem{"consistent.partitions", fmt.Sprintf("%d is not in 1..%d", c.Partitions, maxPartitions)})
	}
	if c.Replicas < 1 || c.Replicas > maxReplicas {
		found = append(found, Problem{"consistent.replicas", fmt.Sprintf("%d is not in 1..%d", c.Replicas, maxReplicas)})
	}
	if math.IsNaN(c.Load) || c.Load < minLoad || c.Load > maxLoad {
		load := strconv.FormatFloat(c.Load, 'g', -1, 64)
		found = append(found, Problem{"consistent.load", fmt.Sprintf("%s is not in %g..%d: a host may own at most this multiple of its fair share", load, minLoad, maxLoad)})
	}
	return found
}
