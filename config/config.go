// Package config reads lb.yaml. Its Config is composed of the parts' own Config structs,
// with every default filled in. It reports all errors at once, each with its file, line
// and column, the line itself, and a hint.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"tokenring/admin"
	"tokenring/balancer"
	"tokenring/gslb"
	"tokenring/handover"
	"tokenring/pool"
	"tokenring/pool/hostlist"
	"tokenring/proxy"
	"tokenring/proxy/access"
	"tokenring/proxy/affinity"
	"tokenring/proxy/fields"
	"tokenring/proxy/localreply"
	"tokenring/proxy/routing"
	"tokenring/tlsterm"
)

const (
	defaultStateDir = "/var/lib/lb"
	maxBytes        = 1 << 20 // of lb.yaml
)

// Config is the whole of lb.yaml. Load and Parse return it with every default filled in
// and every path resolved. It must not be changed, because the parts share it.
type Config struct {
	Name            string                 `yaml:"name"` // default: the machine's host name
	Listen          []proxy.ListenConfig   `yaml:"listen"`
	TLS             tlsterm.Config         `yaml:"tls"`
	Hash            balancer.Config        `yaml:"hash"`
	Affinity        affinity.Config        `yaml:"affinity"`
	Pool            pool.Config            `yaml:"pool"`
	Pools           map[string]*PoolConfig `yaml:"pools"`     // beside Pool, by name
	Routes          []routing.Config       `yaml:"routes"`    // the first that matches a request says what becomes of it
	Access          *access.Config         `yaml:"access"`    // from where clients may come; nil: from everywhere
	Fields          *fields.Config         `yaml:"fields"`    // changes of header fields, for all listeners
	HSTS            *fields.HSTS           `yaml:"hsts"`      // nil: browsers aren't told
	Unmatched       string                 `yaml:"unmatched"` // what becomes of a request that none matches: pool (default), 421 or 404
	Peers           PeersConfig            `yaml:"peers"`
	Health          HealthConfig           `yaml:"health"`
	Sessions        SessionsConfig         `yaml:"sessions"`
	Timeouts        proxy.Timeouts         `yaml:"timeouts"`
	Shutdown        ShutdownConfig         `yaml:"shutdown"`
	Limits          proxy.Limits           `yaml:"limits"`
	Pages           localreply.Config      `yaml:"pages"`
	TrustedNetworks []string               `yaml:"trusted_networks"` // networks whose X-Forwarded-* are kept
	Drain           DrainConfig            `yaml:"drain"`
	Admin           admin.Config           `yaml:"admin"`
	Generations     handover.Generations   `yaml:"generations"`
	Log             LogConfig              `yaml:"log"`
	StateDir        string                 `yaml:"state_dir"` // default /var/lib/lb; need not exist yet
	// GSLB is the zone of a server of names, which lb dns runs; nil for a balancer.
	GSLB *gslb.Config `yaml:"gslb"`

	fileHosts []hostlist.Host // those of pool.hosts_file when it was read
	of        string          // the pool: see OfPool
	warnings  []Warning
}

// ShutdownConfig says how a balancer stops.
type ShutdownConfig struct {
	Delay time.Duration `yaml:"delay"` // how long it serves on, and says that it isn't ready; default 0
	Grace time.Duration `yaml:"grace"` // from then until the connections that are left are closed; default 10s
}

// DrainConfig says which drains need an operator's confirmation.
type DrainConfig struct {
	// MinServing is the share of the hosts' weight that must serve when an operator takes a host
	// out of service: 0 to 1. Default 0: one host must.
	MinServing float64 `yaml:"min_serving"`
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn or error; default info
	Format string `yaml:"format"` // json, console or haproxy; default json
	Access bool   `yaml:"access"` // one line per request or tunnel; default true
	// Output is where all lines go: stdout, stderr, the path of a file, or syslog (see
	// logsink.Parse). Default: the access log to stdout, all others to stderr.
	Output string `yaml:"output"`
	// AccessOutput is where the access log goes, if not to Output.
	AccessOutput string `yaml:"access_output"`
	// Fields are further fields of the lines of the access log, some of accesslog.MoreFields.
	Fields []string `yaml:"fields"`
}

// LogFormatHAProxy has the access log look like HAProxy's; all other lines are JSON.
const LogFormatHAProxy = "haproxy"

// Load reads the file at path. Relative paths in it are resolved against its
// directory. The error is an Errors, unless the file itself can't be read.
func Load(path string) (*Config, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Read returns the text of the configuration at path, for Parse.
func Read(path string) ([]byte, error) {
	if err := readable(path); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration %w", err)
	}
	return data, nil
}

// Parse reads a configuration, data. name is its file name in errors; relative paths are
// resolved against the directory of name. The error is an Errors. Parse reads the files
// that the configuration names, and changes none.
func Parse(name string, data []byte) (*Config, error) {
	d := newDocument(name, data)
	cfg := &Config{}
	if root := d.parse(data); root != nil {
		d.decode("", root, reflect.ValueOf(cfg).Elem())
		d.decodeRenamed(reflect.ValueOf(cfg).Elem())
	}
	if !d.broken {
		cfg.setDefaults(d)
		cfg.check(d)
	}
	if errs := append(d.errors(), d.elsewhere...); len(errs) > 0 {
		return nil, errs
	}
	cfg.warn(d, time.Now())
	cfg.warnings = d.warnings()
	return cfg, nil
}

// Warnings returns the warnings about the file, and about the files that it names, in the
// order of its lines. They are about settings that work and may cause trouble.
func (c *Config) Warnings() []Warning { return c.warnings }

// ControlSocket returns the path of the socket on which the parent of the balancer's processes
// answers.
func (c *Config) ControlSocket() string { return controlSocketIn(c.StateDir) }

func controlSocketIn(stateDir string) string { return filepath.Join(stateDir, "control.sock") }

// DigestKeyFile returns the file in which a balancer without peers keeps the key of the
// digests that represent tokens in its sessions and its log.
func (c *Config) DigestKeyFile() string { return filepath.Join(c.StateDir, "digest.key") }

// AffinityKeyFile returns the file in which a balancer keeps the key of affinity
// cookies if none is configured.
func (c *Config) AffinityKeyFile() string { return filepath.Join(c.StateDir, "affinity.key") }
