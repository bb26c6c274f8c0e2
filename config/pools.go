package config

import (
	"maps"
	"slices"
	"strings"

	"tokenring/balancer"
	"tokenring/pool"
	"tokenring/pool/hostlist"
	"tokenring/proxy/affinity"
	"tokenring/proxy/pools"
	"tokenring/route"
)

// PoolConfig is a pool of hosts beside the main one. Its sections are as those of the same name
// at the top of lb.yaml, and what they leave out has the same defaults.
type PoolConfig struct {
	// Hosts are the hosts that are listed, by their names without the pool.
	Hosts []hostlist.Host `yaml:"hosts"`
	// HostsFile is a file with more of them, which is read again when it changes.
	HostsFile string `yaml:"hosts_file"`
	// DNS makes each address of a name a host; nil: none.
	DNS *pool.DNSConfig `yaml:"dns"`
	// Gossip says that hosts come by the gossip of `pool`: those whose agents announce this pool.
	Gossip           bool `yaml:"gossip"`
	pool.Connections `yaml:",inline"`
	Hash             balancer.Config `yaml:"hash"`
	Affinity         affinity.Config `yaml:"affinity"`
	Health           HealthConfig    `yaml:"health"`
	// Timeouts has those of the section timeouts where a field is zero.
	Timeouts pools.Timeouts `yaml:"timeouts"`
	// Drain says which drains need an operator's confirmation.
	Drain DrainConfig `yaml:"drain"`

	fileHosts []hostlist.Host // those of HostsFile when it was read
}

// PoolNames returns the names of the pools beside the main one, sorted.
func (c *Config) PoolNames() []string { return slices.Sorted(maps.Keys(c.Pools)) }

// OfPool returns the configuration as it is for a pool: its Pool, Hash, Affinity, Health and
// Drain are the pool's, whose hosts have their full names, and all else is the same. "" is the
// main pool. It must not be changed.
func (c *Config) OfPool(name string) *Config {
	p := c.Pools[name]
	if p == nil {
		return c
	}
	own := *c
	own.of, own.fileHosts = name, p.fileHosts
	own.Hash, own.Affinity, own.Health, own.Drain = p.Hash, p.Affinity, p.Health, p.Drain
	own.Pool.Hosts, own.Pool.HostsFile, own.Pool.DNS = inPool(name, p.Hosts), p.HostsFile, p.DNS
	own.Pool.Connections = p.Connections
	if !p.Gossip {
		own.Pool.Bind = ""
	}
	return &own
}

// inPool returns hosts with their full names.
func inPool(pool string, hosts []hostlist.Host) []hostlist.Host {
	full := slices.Clone(hosts)
	for i := range full {
		full[i].Name = route.InPool(pool, full[i].Name)
	}
	return full
}

// path returns the path in the document of a key that is checked. While a pool's sections are
// checked as if they were those at the top, it is the key in the pool.
func (d *document) path(path string) string {
	if d.pool == "" || strings.HasPrefix(path, d.pool) {
		return path
	}
	section := path
	if i := strings.IndexAny(path, ".["); i >= 0 {
		section = path[:i]
	}
	switch section {
	case "pool":
		return d.pool + strings.TrimPrefix(path, "pool")
	case "hash", "affinity", "health", "timeouts", "drain":
		return under(d.pool, path)
	}
	return path
}

// setPoolsDefaults fills in what the pools leave out.
func (c *Config) setPoolsDefaults(d *document) {
	for _, name := range c.PoolNames() {
		p := c.Pools[name]
		if p == nil { // the name has no section
			delete(c.Pools, name)
			continue
		}
		d.pool = under("pools", name)
		if k := p.Affinity.Cookie; k != nil && k.Name == "" {
			k.Name = "lb-" + name // each pool replaces a cookie that names a host of another one
		}
		own := Config{Listen: c.Listen, Pool: pool.Config{Hosts: p.Hosts, Connections: p.Connections}, Hash: p.Hash, Affinity: p.Affinity, Health: p.Health}
		own.setPoolDefaults(d)
		p.Hosts, p.Connections, p.Hash, p.Health = own.Pool.Hosts, own.Pool.Connections, own.Hash, own.Health
	}
	d.pool = ""
}

// checkPools checks each pool as the main one is checked.
func (c *Config) checkPools(d *document) {
	for _, name := range c.PoolNames() {
		p := c.Pools[name]
		path := under("pools", name)
		if err := route.CheckPoolName(name); err != nil {
			d.fail(path, err.Error(), "write a short name such as api")
			continue
		}
		d.checkWays(path, c, p)
		d.checkChanges(path+".fields", p.Fields)
		if d.pool = path; p.HostsFile != "" && !d.checkFile("pool.hosts_file", &p.HostsFile) {
			p.HostsFile = ""
		}
		own := c.OfPool(name)
		own.checkSections(d)
		own.checkBackups(d, p.Gossip || p.DNS != nil)
		c.checkCookiesDiffer(d, name)
		p.fileHosts = own.fileHosts
		d.pool = ""
	}
}

// checkCookiesDiffer reports a pool whose cookie has the name of another pool's.
func (c *Config) checkCookiesDiffer(d *document, name string) {
	own := c.Pools[name].Affinity.Cookie
	if own == nil {
		return
	}
	others := map[string]*affinity.CookieConfig{"affinity": c.Affinity.Cookie}
	for _, other := range c.PoolNames() {
		if other < name {
			others[under("pools", other)+".affinity"] = c.Pools[other].Affinity.Cookie
		}
	}
	for path, other := range others {
		if other != nil && other.Name == own.Name {
			d.fail("affinity.cookie.name", path+".cookie has the same name, and each pool would replace the other's cookies", "give it another name, such as lb-"+name)
			return
		}
	}
}

// checkWays checks how the hosts of a pool are found.
func (d *document) checkWays(path string, c *Config, p *PoolConfig) {
	if p.Gossip && c.Pool.Bind == "" {
		d.fail(path+".gossip", "without pool.bind there is no gossip", "set pool.bind, such as 0.0.0.0:7946, or remove this")
	}
	if p.DNS != nil {
		d.checkAddress(path+".dns.name", p.DNS.Name, "api.internal:8080")
		if p.HostsFile != "" {
			d.fail(path+".dns", "the pool has a hosts_file as well, and both are the whole list of what they know", "leave one of them out")
		}
		if p.Hash.Policy == balancer.PolicyHAProxy {
			d.fail(path+".dns", "the policy haproxy places hosts by their ids, and addresses of a DNS name have none", "list the hosts, or use another hash.policy")
		}
	}
	if !p.Gossip && len(p.Hosts) == 0 && p.HostsFile == "" && p.DNS == nil {
		d.fail(path, "there is no way to find hosts", "list them in "+path+".hosts or in a file that "+path+".hosts_file names, name a DNS name in "+path+".dns, or set "+path+".gossip")
	}
}

// checkSections checks the sections of a pool. The document has the pool's path.
func (c *Config) checkSections(d *document) {
	c.checkHash(d)
	c.checkConnections(d)
	c.checkHosts(hostList{document: d, path: "pool.hosts", hosts: c.Pool.Hosts})
	if c.Pool.HostsFile != "" {
		var errs Errors
		c.fileHosts, errs = c.readHostsFile()
		d.elsewhere = append(d.elsewhere, errs...)
	}
	c.checkDrain(d)
	c.checkAffinity(d)
	c.checkHealth(d)
}
