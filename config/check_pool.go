package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"tokenring/balancer"
	"tokenring/pool"
)

const (
	maxWeight = 256
	maxLabel  = 255 // bytes, memberlist's limit
)

func (c *Config) checkPool(d *document) {
	p := &c.Pool
	d.checkGossip("pool", gossip{p.Bind, p.Advertise, p.Join, &p.SecretFile, p.Label})
	for i, network := range p.AllowedNetworks {
		d.checkNetwork(item("pool.allowed_networks", i), network)
	}
	if p.Bind == "" && len(p.Hosts) == 0 && !d.silent("pool.bind") && !d.silent("pool.hosts") {
		d.fail("pool", "there is no way to find hosts", "list them in pool.hosts, or set pool.bind so that they join by gossip")
	}
	if d.has("pool.slow_start") && (p.SlowStart < pool.MinSlowStart || p.SlowStart > pool.MaxSlowStart) {
		d.fail("pool.slow_start", fmt.Sprintf("%v is not in %v..%v", p.SlowStart, pool.MinSlowStart, pool.MaxSlowStart),
			"it goes in steps of at least a second, the first of which takes nothing; leave it out for none")
	}
	d.checkFreeze(p.Freeze)
	c.checkHosts(d)
}

func (d *document) checkFreeze(f pool.FreezeConfig) {
	const off = "write `freeze: off` if the ring is never to freeze"
	if d.has("pool.freeze.share") && !(f.Share > 0 && f.Share < 1) {
		d.fail("pool.freeze.share", fmt.Sprintf("%v is no share between 0 and 1", f.Share), "0.5 is more than half of the hosts; "+off)
	}
	if d.has("pool.freeze.for") && (f.For < pool.MinFreeze || f.For > pool.MaxFreeze) {
		d.fail("pool.freeze.for", fmt.Sprintf("%v is not in %v..%v", f.For, pool.MinFreeze, pool.MaxFreeze), off)
	}
	if d.has("pool.freeze.min_hosts") && f.MinHosts < 1 {
		d.fail("pool.freeze.min_hosts", fmt.Sprintf("%d hosts are no ring", f.MinHosts), "write 1 for rings of any size")
	}
}

func (c *Config) checkPeers(d *document) {
	p := &c.Peers
	d.checkGossip("peers", gossip{p.Bind, p.Advertise, p.Join, &p.SecretFile, p.Label})
	if p.SecretFile != "" && p.SecretFile == c.Pool.SecretFile {
		d.fail("peers.secret_file", "this is the pool's secret, which every host has", "peers need a secret of their own: what balancers tell each other, hosts must not be able to forge")
	}
}

// gossip is what the sections pool and peers have in common.
type gossip struct {
	bind, advertise string
	join            []string
	secretFile      *string
	label           string
}

func (d *document) checkGossip(section string, g gossip) {
	d.checkSecret(section+".secret_file", g.secretFile)
	for i, seed := range g.join {
		d.checkAddress(item(section+".join", i), seed, "10.0.0.3:7946 or lb-2.internal:7946")
	}
	if len(g.label) > maxLabel {
		d.fail(section+".label", fmt.Sprintf("the label has %d bytes", len(g.label)), fmt.Sprintf("at most %d are possible", maxLabel))
	}
	if g.bind == "" {
		d.checkNoGossip(section)
		return
	}
	if err := pool.CheckBind(g.bind); err != nil {
		d.fail(section+".bind", err.Error(), "write for example 10.0.0.2:7946 or 0.0.0.0:7946")
		return
	}
	if !d.has(section + ".secret_file") {
		d.fail(section+".secret_file", "gossip needs a secret key that all members share", "set "+section+".secret_file to a file that holds one")
	}
	d.checkAdvertise(section, g)
}

// checkNoGossip finds settings of a gossip that isn't wanted.
func (d *document) checkNoGossip(section string) {
	for _, key := range []string{"join", "advertise", "secret_file", "label", "allowed_networks"} {
		if path := under(section, key); d.has(path) {
			d.fail(path, "this is for gossip, and without "+section+".bind there is none", "set "+section+".bind, such as 0.0.0.0:7946, or remove this")
		}
	}
}

func (d *document) checkAdvertise(section string, g gossip) {
	path := section + ".advertise"
	const example = "write this machine's own address, such as 10.0.0.2:7946"
	if g.advertise == "" {
		if unspecified(g.bind) {
			d.fail(path, fmt.Sprintf("%s.bind is %s, which tells the others no address to reach this machine at; "+
				"it isn't guessed, because the guess could be the floating IP, which moves to another machine", section, g.bind), example)
		}
		return
	}
	at, err := netip.ParseAddrPort(g.advertise)
	switch {
	case err != nil:
		d.fail(path, fmt.Sprintf("the address %q is not ip:port", g.advertise), example)
	case at.Addr().Unmap().IsUnspecified() || at.Addr().IsMulticast():
		d.fail(path, at.Addr().String()+" is no address that others could reach", example)
	}
}

// checkHosts checks each host of pool.hosts, and that no two are the same.
func (c *Config) checkHosts(d *document) {
	first := map[string]string{} // name, id or address → the path that has it
	for i, h := range c.Pool.Hosts {
		path := item("pool.hosts", i)
		if err := pool.CheckName(h.Name); err != nil {
			d.fail(path+".name", err.Error(), "write a name such as ide-1")
		}
		d.checkAddress(path+".address", h.Address, "10.0.0.11:4000 or ide-1.internal:4000")
		if weight := *h.Weight; weight < 0 || weight > maxWeight {
			d.fail(path+".weight", fmt.Sprintf("%d is not in 0..%d", weight, maxWeight), "the default is 1; 0 stands for no tokens until an operator gives the host some")
		}
		d.unique(first, path+".name", h.Name)
		d.unique(first, path+".address", strings.ToLower(h.Address))
		if h.ID != 0 {
			d.unique(first, path+".id", fmt.Sprint(h.ID))
		}
	}
	c.checkRoom(d)
}

// checkRoom wants hosts that a ring can hold, all of them together. About hosts or
// a policy that are wrong by themselves it says nothing.
func (c *Config) checkRoom(d *document) {
	for path := range d.failed {
		if strings.HasPrefix(path, "pool.hosts") || strings.HasPrefix(path, "hash") {
			return
		}
	}
	hosts := make([]balancer.Host, len(c.Pool.Hosts))
	for i, h := range c.Pool.Hosts {
		hosts[i] = balancer.Host{Name: h.Name, ID: h.ID, Weight: *h.Weight}
	}
	remedy := "use smaller weights (only their proportions count), fewer hosts, or another hash.policy"
	if c.Hash.Policy == balancer.PolicyHAProxy {
		remedy = "use fewer hosts, or smaller weights; with this policy other weights move tokens, even in the same proportions"
	}
	if err := c.Hash.Check(hosts); err != nil {
		d.fail("pool.hosts", fmt.Sprintf("the policy %s has no room for these hosts: %v", c.Hash.Policy, err), remedy)
	}
}

// unique reports a value that an earlier host has for the same key.
func (d *document) unique(first map[string]string, path, value string) {
	if value == "" {
		return
	}
	key := path[strings.LastIndexByte(path, '.')+1:]
	if earlier, twice := first[key+"="+value]; twice {
		d.fail(path, fmt.Sprintf("another host has the %s %s already", key, value), fmt.Sprintf("see line %d: each host needs its own", d.values[earlier].line))
		return
	}
	first[key+"="+value] = path
}

// checkAddress wants host:port of something to connect to.
func (d *document) checkAddress(path, address, example string) {
	example = "write for example " + example
	if !d.has(path) {
		d.fail(path, "the address is missing", example)
		return
	}
	if err := pool.CheckAddress(address); err != nil {
		d.fail(path, err.Error(), example)
		return
	}
	host, _, _ := net.SplitHostPort(address)
	switch {
	case unspecified(address):
		d.fail(path, host+" is no address to connect to", example)
	case !hostLike(host):
		d.fail(path, fmt.Sprintf("%q is neither an IP address nor a host name", host), example)
	}
}
