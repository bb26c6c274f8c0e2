package config

import (
	"fmt"
	"net/netip"

	"tokenring/gossip"
	"tokenring/hostkeys"
	"tokenring/pool"
	"tokenring/pool/eligibility"
	"tokenring/route"
)

const maxLabel = 255 // bytes, memberlist's limit

func (c *Config) checkPool(d *document) {
	p := &c.Pool
	d.checkGossip("pool", &p.Config)
	for i, network := range p.AllowedNetworks {
		d.checkNetwork(item("pool.allowed_networks", i), network)
	}
	if p.Bind == "" && len(p.Hosts) == 0 && p.HostsFile == "" && !d.silent("pool.bind") && !d.silent("pool.hosts") {
		d.fail("pool", "there is no way to find hosts", "list them in pool.hosts or in a file that pool.hosts_file names, or set pool.bind so that they join by gossip")
	}
	if d.has("pool.slow_start") && (p.SlowStart < route.MinSlowStart || p.SlowStart > route.MaxSlowStart) {
		d.fail("pool.slow_start", fmt.Sprintf("%v is not in %v..%v", p.SlowStart, route.MinSlowStart, route.MaxSlowStart),
			"slow start has steps of at least a second, and the host takes no tokens in the first step; leave it out for no slow start")
	}
	d.checkFreeze(p.Freeze)
	d.checkSignatures(p)
	d.checkAnnounceLimits(p.AnnounceLimits)
	c.checkConnections(d)
	c.checkHosts(hostList{document: d, path: "pool.hosts", hosts: p.Hosts})
	c.checkHostsFile(d)
	c.checkBackups(d, p.Bind != "")
}

// checkSignatures checks by which keys hosts are known.
func (d *document) checkSignatures(p *pool.Config) {
	if d.has("pool.signatures") && p.Signatures != pool.SignaturesTolerated && p.Signatures != pool.SignaturesRequired {
		d.fail("pool.signatures", fmt.Sprintf("there is no %q", p.Signatures), "write tolerate (a host of which no key is known need not sign) or require")
	}
	if !d.checkFile("pool.hosts_keys", &p.HostsKeys) {
		return
	}
	if _, err := hostkeys.Read(p.HostsKeys); err != nil {
		d.fail("pool.hosts_keys", err.Error(), "each line has the name of a host and the key that its agent logs when it starts")
	}
}

// checkAnnounceLimits checks how much hosts may announce.
func (d *document) checkAnnounceLimits(l pool.AnnounceLimits) {
	const most = route.MaxWeight * gossip.MaxHosts
	if d.has("pool.max_weight") && (l.MaxWeight < 1 || l.MaxWeight > most) {
		d.fail("pool.max_weight", fmt.Sprintf("%d is not in 1..%d", l.MaxWeight, most),
			"the hosts of one machine have at most this weight together; leave it out for 8 times the median")
	}
	if d.has("pool.max_hosts_per_address") && (l.MaxHostsPerAddress < 1 || l.MaxHostsPerAddress > gossip.MaxHosts) {
		d.fail("pool.max_hosts_per_address", fmt.Sprintf("%d is not in 1..%d", l.MaxHostsPerAddress, gossip.MaxHosts), "the default is 8")
	}
}

func (d *document) checkFreeze(f eligibility.FreezeConfig) {
	const off = "write `freeze: off` if the ring should never freeze"
	if d.has("pool.freeze.share") && !(f.Share > 0 && f.Share < 1) {
		d.fail("pool.freeze.share", fmt.Sprintf("%v is no share between 0 and 1", f.Share), "0.5 is more than half of the hosts; "+off)
	}
	if d.has("pool.freeze.for") && (f.For < eligibility.MinFreeze || f.For > eligibility.MaxFreeze) {
		d.fail("pool.freeze.for", fmt.Sprintf("%v is not in %v..%v", f.For, eligibility.MinFreeze, eligibility.MaxFreeze), off)
	}
	if d.has("pool.freeze.min_hosts") && f.MinHosts < 1 {
		d.fail("pool.freeze.min_hosts", fmt.Sprintf("a ring has at least 1 host, not %d", f.MinHosts), "write 1 for rings of any size")
	}
}

// checkGossip checks the settings that the sections pool and peers share.
func (d *document) checkGossip(section string, g *gossip.Config) {
	d.checkSecrets(section+".secret_file", &g.SecretFile)
	for i, seed := range g.Join {
		d.checkAddress(item(section+".join", i), seed, "10.0.0.3:7946 or lb-2.internal:7946")
	}
	if len(g.Label) > maxLabel {
		d.fail(section+".label", fmt.Sprintf("the label has %d bytes", len(g.Label)), fmt.Sprintf("at most %d are possible", maxLabel))
	}
	if g.Bind == "" {
		d.checkNoGossip(section)
		return
	}
	if err := gossip.CheckBind(g.Bind); err != nil {
		d.fail(section+".bind", err.Error(), "write for example 10.0.0.2:7946 or 0.0.0.0:7946")
		return
	}
	if !d.has(section + ".secret_file") {
		d.fail(section+".secret_file", "gossip needs a secret key that all members share", "set "+section+".secret_file to a file that holds one")
	}
	d.checkAdvertise(section, g)
}

// checkNoGossip reports settings of gossip in a section without bind.
func (d *document) checkNoGossip(section string) {
	for _, key := range []string{"join", "advertise", "secret_file", "label", "allowed_networks", "hosts_keys", "signatures", "max_weight", "max_hosts_per_address"} {
		if path := under(section, key); d.has(path) {
			d.fail(path, "this setting is for gossip, and without "+section+".bind there is no gossip", "set "+section+".bind, such as 0.0.0.0:7946, or remove this")
		}
	}
}

func (d *document) checkAdvertise(section string, g *gossip.Config) {
	path := section + ".advertise"
	const example = "write this machine's own address, such as 10.0.0.2:7946"
	if g.Advertise == "" {
		if unspecified(g.Bind) {
			d.fail(path, fmt.Sprintf("%s.bind is %s, which isn't an address that the others can use to reach this machine; "+
				"lb doesn't guess one, because it could be the floating IP, which moves to another machine", section, g.Bind), example)
		}
		return
	}
	at, err := netip.ParseAddrPort(g.Advertise)
	switch {
	case err != nil:
		d.fail(path, fmt.Sprintf("the address %q is not ip:port", g.Advertise), example)
	case at.Addr().Unmap().IsUnspecified() || at.Addr().IsMulticast():
		d.fail(path, at.Addr().String()+" isn't an address that others can reach", example)
	}
}

// checkAddress reports an address that isn't host:port, or can't be connected to.
func (d *document) checkAddress(path, address, example string) {
	example = "write for example " + example
	if !d.has(path) {
		d.fail(path, "the address is missing", example)
		return
	}
	if err := route.CheckTarget(address); err != nil {
		d.fail(path, err.Error(), example)
	}
}
