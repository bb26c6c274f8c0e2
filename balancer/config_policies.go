package balancer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The limits of a ConsistentConfig. Below minLoad nearly every host is full, and a
// host that leaves also moves keys of other hosts.
const (
	maxPartitions = 1 << 17
	maxReplicas   = 1000
	minLoad       = 1.05
	maxLoad       = 10
)

// maxBounded is the largest sum of the weights at which `consistent` bounds the
// slots of a host. With more hosts, each has so few slots that by chance many of
// them would reach any useful bound. Every change of the bound, such as by one host
// less, would then move slots between hosts that stay (0.3 % of all at 500 hosts,
// which have 0.2 % each).
const maxBounded = 200

// ConsistentConfig holds the parameters of the policy `consistent`. Changing any
// of them moves most keys. Zero means the default. The weights of the hosts may
// add up to the number of partitions, and to 4096.
type ConsistentConfig struct {
	// Partitions is the number of slots. Default 16381, a prime; at most 131072.
	Partitions int `yaml:"partitions"`
	// Replicas is the number of points on the ring per unit of weight. Default
	// 160, at most 1000. With few points shares are uneven and successors are few.
	Replicas int `yaml:"replicas"`
	// Load bounds the slots of a host to this multiple of its fair share, rounded
	// up. It applies while the weights add up to at most 200; above that there is no
	// bound. Default 1.25; from 1.05 (even shares, but a host that leaves moves more
	// keys of other hosts) to 10 (in effect no bound).
	Load float64 `yaml:"load"`
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

// loadOf returns the bound when the weights add up to total, as a multiple of the
// fair share. When total crosses maxBounded, only the slots move that the bound had
// displaced: 0.1 % of all at the default parameters.
func (c ConsistentConfig) loadOf(total int) float64 {
	if total > maxBounded {
		return maxLoad
	}
	return c.Load
}

func (c ConsistentConfig) problems() []Problem {
	found := outside("consistent.partitions", c.Partitions, maxPartitions)
	found = append(found, outside("consistent.replicas", c.Replicas, maxReplicas)...)
	if math.IsNaN(c.Load) || c.Load < minLoad || c.Load > maxLoad {
		load := strconv.FormatFloat(c.Load, 'g', -1, 64)
		found = append(found, Problem{"consistent.load", fmt.Sprintf("%s is not in %g..%d: a host may own at most this multiple of its fair share", load, minLoad, maxLoad)})
	}
	return found
}

// outside returns a problem if n is not in 1..most.
func outside(path string, n, most int) []Problem {
	if n >= 1 && n <= most {
		return nil
	}
	return []Problem{{path, fmt.Sprintf("%d is not in 1..%d", n, most)}}
}

// maxRendezvousSlots is a RendezvousConfig's limit: the ranks of 1,000 hosts for
// so many slots take some seconds.
const maxRendezvousSlots = 1 << 19

// RendezvousConfig holds the parameters of the policy `rendezvous`. Zero means
// the default.
type RendezvousConfig struct {
	// Slots is the number of slots. Default 65536, at most 524288. The standard
	// deviation of a host's slots is the square root of their number. Changing it
	// moves most keys.
	Slots int `yaml:"slots"`
}

func (c RendezvousConfig) withDefaults() RendezvousConfig {
	if c.Slots == 0 {
		c.Slots = 65536
	}
	return c
}

func (c RendezvousConfig) problems() []Problem {
	return outside("rendezvous.slots", c.Slots, maxRendezvousSlots)
}

// maxMaglevSlots is a MaglevConfig's limit.
const maxMaglevSlots = 1 << 17

// MaglevConfig holds the parameters of the policy `maglev`. Zero means the
// default. There can't be more hosts than slots.
type MaglevConfig struct {
	// Slots is the number of slots, a prime. Default 65537, at most 131072. With more
	// slots per host, fewer keys move between hosts that stay. Changing it moves most
	// keys.
	Slots int `yaml:"slots"`
}

func (c MaglevConfig) withDefaults() MaglevConfig {
	if c.Slots == 0 {
		c.Slots = 65537
	}
	return c
}

func (c MaglevConfig) problems() []Problem {
	const path = "maglev.slots"
	found := outside(path, c.Slots, maxMaglevSlots)
	if len(found) == 0 && !prime(c.Slots) {
		higher, lower := c.Slots, c.Slots
		for !prime(higher) {
			higher++
		}
		for lower > 2 && !prime(lower) {
			lower--
		}
		found = append(found, Problem{path, fmt.Sprintf("%d is not a prime; the nearest primes are %d and %d", c.Slots, max(lower, 2), higher)})
	}
	return found
}

func prime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// maxKetamaPoints is a KetamaConfig's limit.
const maxKetamaPoints = 1000

// The values of KetamaConfig.Names.
const (
	KetamaNamesHost     = "host"
	KetamaNamesHostPort = "host_port"
)

// KetamaConfig holds the parameters of the policy `ketama`. Zero means the
// default. There can be 1,048,576 points in all.
type KetamaConfig struct {
	// Points is the number of points on the ring per unit of weight. Default 160,
	// as in nginx and Pingora; at most 1000. Changing it moves some keys of all hosts.
	Points int `yaml:"points"`
	// Names says what hosts are called: "host", the default, or "host_port", such as
	// 10.0.0.21_4000 where nginx has `server 10.0.0.21:4000`. nginx hashes the port apart
	// from the rest. Changing it moves most keys.
	Names string `yaml:"names" json:",omitempty"` // what the ring was is kept without it, as before it was there
}

func (c KetamaConfig) withDefaults() KetamaConfig {
	if c.Points == 0 {
		c.Points = 160
	}
	if c.Names == "" {
		c.Names = KetamaNamesHost
	}
	return c
}

func (c KetamaConfig) problems() []Problem {
	return append(outside("ketama.points", c.Points, maxKetamaPoints),
		unlisted("ketama.names", c.Names, KetamaNamesHost, KetamaNamesHostPort)...)
}

// The values of HAProxyConfig.Type.
const (
	HAProxyConsistent = "consistent"
	HAProxyMapBased   = "map-based"
)

// The values of HAProxyConfig.HashKey.
const (
	HAProxyHashKeyID = "id"
	HAProxyHashKey30 = "id-3.0"
)

// HAProxyConfig holds the parameters of the policy `haproxy`: the words of
// HAProxy's `hash-type` line, with the defaults that HAProxy has for such a line.
// Changing any of them moves most keys. Each host needs an ID, and no two IDs may be
// equal modulo HAProxyIDs. The weights may add up to 65536.
type HAProxyConfig struct {
	// Type is "consistent", the default, or "map-based", which HAProxy uses without a
	// hash-type line.
	Type string `yaml:"type"`
	// Function is sdbm, djb2, wt6, crc32 or none. Default sdbm.
	Function string `yaml:"function"`
	// Avalanche mixes the function's result once more. Default as in HAProxy: true for
	// type consistent without a named function, and otherwise false.
	Avalanche *bool `yaml:"avalanche"`
	// HashKey says how a host's points are computed from its ID: "id", the default, or
	// "id-3.0", the mistake of HAProxy 3.0.0 to 3.2.6.
	HashKey string `yaml:"hash_key"`
}

func (c HAProxyConfig) withDefaults() HAProxyConfig {
	if c.Type == "" {
		c.Type = HAProxyConsistent
	}
	if c.Avalanche == nil {
		avalanche := c.Type == HAProxyConsistent && c.Function == ""
		c.Avalanche = &avalanche
	}
	if c.Function == "" {
		c.Function = "sdbm"
	}
	if c.HashKey == "" {
		c.HashKey = HAProxyHashKeyID
	}
	return c
}

func (c HAProxyConfig) problems() []Problem {
	found := unlisted("haproxy.type", c.Type, HAProxyConsistent, HAProxyMapBased)
	found = append(found, unlisted("haproxy.function", c.Function, slices.Sorted(maps.Keys(haproxyFunctions))...)...)
	found = append(found, unlisted("haproxy.hash_key", c.HashKey, HAProxyHashKeyID, HAProxyHashKey30)...)
	if c.Type == HAProxyMapBased && c.HashKey == HAProxyHashKey30 {
		found = append(found, Problem{"haproxy.hash_key", "type map-based doesn't use ids; leave hash_key out"})
	}
	return found
}

// unlisted returns a problem if word isn't one of known.
func unlisted(path, word string, known ...string) []Problem {
	if slices.Contains(known, word) {
		return nil
	}
	return []Problem{{path, fmt.Sprintf("%q is not known here; use one of: %s", word, strings.Join(known, ", "))}}
}
