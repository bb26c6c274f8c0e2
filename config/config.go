// Package config reads lb.yaml: it composes the parts' own Config structs,
// fills in every default, and reports all that is wrong at once, each with its
// file, line and column, the line itself, and what would be right.
package config

import (
	"tokenring/admin"
	"tokenring/balancer"
	"tokenring/health"
	"tokenring/pool"
	"tokenring/proxy"
	"tokenring/tlsterm"
)

// Config is the whole of lb.yaml. What Load and Parse return has every default
// filled in; do not change it afterwards, parts share it.
type Config struct {
	Name            string               `yaml:"name"`
	Listen          []proxy.ListenConfig `yaml:"listen"`
	TLS             tlsterm.Config       `yaml:"tls"`
	Hash            balancer.Config      `yaml:"hash"`
	Pool            pool.Config          `yaml:"pool"`
	Peers           pool.PeersConfig     `yaml:"peers"`
	Health          health.Config        `yaml:"health"`
	Timeouts        proxy.Timeouts       `yaml:"timeouts"`
	TrustedNetworks []string             `yaml:"trusted_networks"`
	Admin           admin.Config         `yaml:"admin"`
	Log             LogConfig            `yaml:"log"`
	StateDir        string               `yaml:"state_dir"`
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn or error; default info
	Format string `yaml:"format"` // json or console; default json
	Access bool   `yaml:"access"` // one line per request or tunnel; default true
}

// Load reads the file at path. Relative paths in it are resolved against its
// directory. The error is an Errors unless the file itself couldn't be read.
func Load(path string) (*Config, error) { return nil, nil }

// Parse reads data, which errors call name; the directory part of name is what
// relative paths in it are resolved against.
func Parse(name string, data []byte) (*Config, error) { return nil, nil }
