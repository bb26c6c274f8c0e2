// Package config reads lb.yaml: it composes the parts' own Config structs,
// fills in every default, and reports all that is wrong at once, each with its
// file, line and column, the line itself, and what would be right.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"tokenring/admin"
	"tokenring/balancer"
	"tokenring/health"
	"tokenring/pool"
	"tokenring/proxy"
	"tokenring/tlsterm"
)

const (
	defaultStateDir = "/var/lib/lb"
	maxBytes        = 1 << 20 // of lb.yaml
)

// Config is the whole of lb.yaml. What Load and Parse return has every default
// filled in and every path resolved; do not change it, the parts share it.
type Config struct {
	Name            string               `yaml:"name"` // default: the machine's host name
	Listen          []proxy.ListenConfig `yaml:"listen"`
	TLS             tlsterm.Config       `yaml:"tls"`
	Hash            balancer.Config      `yaml:"hash"`
	Affinity        proxy.AffinityConfig `yaml:"affinity"`
	Pool            pool.Config          `yaml:"pool"`
	Peers           pool.PeersConfig     `yaml:"peers"`
	Health          health.Config        `yaml:"health"`
	Timeouts        proxy.Timeouts       `yaml:"timeouts"`
	Limits          proxy.Limits         `yaml:"limits"`
	TrustedNetworks []string             `yaml:"trusted_networks"` // prefixes whose X-Forwarded-* are believed
	Admin           admin.Config         `yaml:"admin"`
	Log             LogConfig            `yaml:"log"`
	StateDir        string               `yaml:"state_dir"` // default /var/lib/lb; need not exist yet

	warnings []Warning
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn or error; default info
	Format string `yaml:"format"` // json or console; default json
	Access bool   `yaml:"access"` // one line per request or tunnel; default true
}

// Load reads the file at path. Relative paths in it are resolved against its
// directory. The error is an Errors, unless the file itself can't be read.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

func readFile(path string) ([]byte, error) {
	if err := readable(path); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %w", err)
	}
	return data, nil
}

// Parse reads data. Errors call it name, and the directory of name is what
// relative paths in it are resolved against. The error is an Errors. The files
// that the configuration names are looked at, and none is changed.
func Parse(name string, data []byte) (*Config, error) {
	d := newDocument(name, data)
	cfg := &Config{}
	if root := d.parse(data); root != nil {
		d.decode("", root, reflect.ValueOf(cfg).Elem())
	}
	if !d.broken {
		cfg.setDefaults(d)
		cfg.check(d)
	}
	if errs := d.errors(); len(errs) > 0 {
		return nil, errs
	}
	cfg.warn(d, time.Now())
	cfg.warnings = d.warnings()
	return cfg, nil
}

// Warnings returns what works and what an operator should know of the file, and of
// the files that it names, in the order of its lines.
func (c *Config) Warnings() []Warning { return c.warnings }

// DigestKeyFile returns the file in which a balancer without peers keeps the key
// of the digests that stand for tokens in its log.
func (c *Config) DigestKeyFile() string { return filepath.Join(c.StateDir, "digest.key") }

// AffinityKeyFile returns the file in which a balancer keeps the key of affinity
// cookies if none is configured.
func (c *Config) AffinityKeyFile() string { return filepath.Join(c.StateDir, "affinity.key") }
