package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"tokenring/health"
)

// HealthConfig says how hosts are checked, and what follows when one is down.
type HealthConfig struct {
	health.Config `yaml:",inline"`
	// Damping is how long a host that was down must pass its checks without a failure until it
	// gets its tokens back. Default 10s.
	Damping Damping `yaml:"damping"`
	// OnDown is what becomes of the terminals of a host that is down: OnDownKeep, the default, or
	// OnDownClose.
	OnDown string `yaml:"on_down"`
	// CloseAfter is how long a host must have been down until OnDownClose ends its terminals. Default
	// 30s.
	CloseAfter time.Duration `yaml:"close_after"`
}

// The values of HealthConfig.OnDown.
const (
	OnDownKeep  = "keep"  // terminals stay: they may work still, or again
	OnDownClose = "close" // they end, so that their users connect to another host
)

// A Damping is the time for which a host must be steady to return. 0 means that it needn't be;
// `off` stands for it.
type Damping time.Duration

const (
	defaultDamping    = Damping(10 * time.Second)
	longestDamping    = Damping(time.Hour)
	defaultCloseAfter = 30 * time.Second
	longestCloseAfter = 24 * time.Hour
)

// SetOff sets d as `off` does.
func (d *Damping) SetOff() { *d = 0 }

// String returns the duration, or "off".
func (d Damping) String() string {
	if d == 0 {
		return "off"
	}
	return time.Duration(d).String()
}

// setDefaults fills in what the file leaves out.
func (h *HealthConfig) setDefaults(d *document) {
	h.Config = h.WithDefaults()
	if !d.has("health.damping") {
		h.Damping = defaultDamping
	}
	h.OnDown = cmp.Or(h.OnDown, OnDownKeep)
	h.CloseAfter = cmp.Or(h.CloseAfter, defaultCloseAfter)
}

// checkAnswers checks what checks ask and which answers pass.
func (c *Config) checkAnswers(d *document) {
	h := &c.Health.Config
	if err := h.Expect.Check(); err != nil {
		d.fail("health.expect.status", err.Error(), "write for example 200 or 200-299,304")
	}
	if d.has("health.port") && (h.Port < 1 || h.Port > 65535) {
		d.fail("health.port", fmt.Sprintf("%d is no port", h.Port), "ports are 1 to 65535; leave it out for the port of the service")
	}
	for _, name := range slices.Sorted(maps.Keys(h.Fields)) {
		if err := health.ValidField(name, h.Fields[name]); err != nil {
			d.fail("health.fields."+name, err.Error(), "write for example X-Check: lb")
		}
	}
	if len(h.Fields) > health.MaxFields {
		d.fail("health.fields", fmt.Sprintf("there are %d fields", len(h.Fields)), fmt.Sprintf("at most %d are possible", health.MaxFields))
	}
	if h.CheckPath() != "" {
		return
	}
	for _, key := range []string{"expect", "fields"} {
		if path := "health." + key; d.has(path) {
			d.fail(path, "it is for HTTP checks, and an empty health.path means TCP connects only", "set health.path, or leave this out")
		}
	}
}

// checkOnDown reports times that are out of bounds, and a value of on_down that isn't one.
func (h *HealthConfig) checkOnDown(d *document) {
	if t := h.Damping; t != 0 && (t < Damping(time.Second) || t > longestDamping) {
		d.fail("health.damping", fmt.Sprintf("%s is out of bounds", t), fmt.Sprintf("use a time from 1s to %s, or off", longestDamping))
	}
	if t := h.CloseAfter; t < time.Second || t > longestCloseAfter {
		d.fail("health.close_after", fmt.Sprintf("%s is out of bounds", t), fmt.Sprintf("use a time from 1s to %s", longestCloseAfter))
	}
	switch {
	case h.OnDown != OnDownKeep && h.OnDown != OnDownClose:
		d.fail("health.on_down", fmt.Sprintf("%q isn't known", h.OnDown), "use keep or close")
	case h.OnDown == OnDownKeep && d.has("health.close_after"):
		d.fail("health.close_after", "it has no effect while health.on_down is keep", "write on_down: close, or leave it out")
	}
}
