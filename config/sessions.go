package config

import (
	"fmt"
	"strconv"
	"time"

	"tokenring/proxy/secondchance"
)

// SessionsConfig says how users find the hosts of their sessions.
type SessionsConfig struct {
	Linger       Linger               `yaml:"linger"`        // default 10m
	SecondChance *secondchance.Config `yaml:"second_chance"` // nil for none
	// Strict has hosts fence themselves: their gates let users in only while a majority of the
	// balancers gives them leases, and other hosts get their tokens only when these are over.
	Strict bool `yaml:"strict"`
	// StrictLease is how long a lease lasts. It must be the same on all balancers. Default 10s.
	StrictLease time.Duration `yaml:"strict_lease"`
}

// FenceWait returns for how long the tokens of a host wait that is down by the balancers' votes,
// until its gate has closed its terminals: a tenth longer than a lease lasts, because clocks
// differ, and a check's time more. It is 0 without Strict.
func (c *Config) FenceWait() time.Duration {
	if !c.Sessions.Strict {
		return 0
	}
	l := c.Sessions.StrictLease
	return l + l/10 + c.Health.Timeout
}

const (
	defaultLease = 10 * time.Second
	longestLease = 10 * time.Minute
)

// checkStrict reports what keeps hosts from fencing themselves, or has them do so needlessly.
func (c *Config) checkStrict(d *document) {
	const path = "sessions.strict_lease"
	shortest := 3*c.Health.Interval + c.Health.Timeout
	switch l := c.Sessions.StrictLease; {
	case l < time.Second || l > longestLease:
		d.fail(path, fmt.Sprintf("%s is out of bounds", l), fmt.Sprintf("use a time from 1s to %s", longestLease))
	case c.Sessions.Strict && l < shortest:
		d.fail(path, fmt.Sprintf("a lease of %s is over before three checks, so hosts would close their terminals for two lost packets", l),
			fmt.Sprintf("use at least %s (three times health.interval, and health.timeout), or a shorter health.interval", shortest))
	}
	if !c.Sessions.Strict {
		return
	}
	if c.Peers.Expect < 3 {
		d.fail("sessions.strict", "hosts fence themselves unless a majority of the balancers reaches them, and peers.expect says "+expected(c.Peers.Expect)+": with fewer than three, one that is away would close all terminals",
			"run three balancers or more, and set peers.expect to their number; or remove this")
	}
	if c.Pool.SendProxy != "" {
		d.fail("pool.send_proxy", "the gates of sessions.strict stand before the hosts and read the heads of requests and checks, which they can't behind such a header: all hosts would be down",
			"leave it out, hosts have the client's address in X-Forwarded-For; or remove sessions.strict")
	}
	if c.Health.CheckPath() == "" {
		d.fail("sessions.strict", "leases are in HTTP checks, and health.path is empty", "set health.path, such as /healthz; or remove this")
	}
}

// expected says what peers.expect is.
func expected(n int) string {
	if n == 0 {
		return "nothing"
	}
	return strconv.Itoa(n)
}

// A Linger is for how long a token keeps its host after its last terminal has ended, and after
// its last request. 0 means that it doesn't; `off` stands for it.
type Linger time.Duration

const (
	defaultLinger = Linger(10 * time.Minute)
	longestLinger = Linger(24 * time.Hour)
)

// SetOff sets l as `off` does.
func (l *Linger) SetOff() { *l = 0 }

// String returns the duration, or "off".
func (l Linger) String() string {
	if l == 0 {
		return "off"
	}
	return time.Duration(l).String()
}

// checkSessions reports a time that is so short that it means nothing, or so long that tokens
// hardly ever follow the ring.
func (c *Config) checkSessions(d *document) {
	if l := c.Sessions.Linger; l != 0 && (l < Linger(time.Second) || l > longestLinger) {
		d.fail("sessions.linger", fmt.Sprintf("%s is out of bounds", l), fmt.Sprintf("use a time from 1s to %s, or off", longestLinger))
	}
}
