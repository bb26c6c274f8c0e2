package queue

import (
	"cmp"
	"time"
)

// Config is `queue` of a pool: what becomes of requests to a host that has as many as it may have.
type Config struct {
	// Length is how many of them wait for one host; 0: none does. Default DefaultLength.
	Length *int `yaml:"length"`
	// Wait is how long one waits at most. Default DefaultWait.
	Wait time.Duration `yaml:"wait"`
	// Then says what becomes of one that has waited for so long, or for which there is no room:
	// Fail or Next. Default Fail.
	Then string `yaml:"then"`
}

// The defaults of Config, and its bounds.
const (
	DefaultLength = 100
	DefaultWait   = 5 * time.Second
	MaxLength     = 100000
	MaxWait       = 10 * time.Minute
)

// The values of Config.Then.
const (
	Fail = "fail" // the request is answered with 503
	Next = "next" // it goes to another host of its pool, if any host may serve it
)

// WithDefaults returns c with its zero fields set to their defaults.
func (c Config) WithDefaults() Config {
	if c.Length == nil {
		length := DefaultLength
		c.Length = &length
	}
	c.Wait, c.Then = cmp.Or(c.Wait, DefaultWait), cmp.Or(c.Then, Fail)
	return c
}

// MaxConnections bounds the bound of a host.
const MaxConnections = 1000000
