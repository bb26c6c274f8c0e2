package config

import (
	"fmt"
	"strings"

	"tokenring/balancer"
)

// checkHash places what the balancer package finds. Its messages have the
// remedy behind a semicolon or a colon.
func (c *Config) checkHash(d *document) {
	if at, ok := d.values["hash.seed"]; ok {
		d.mask(at)
	}
	for _, p := range c.Hash.Validate() {
		message, hint, _ := strings.Cut(p.Message, "; ")
		d.fail("hash."+p.Path, message, hint)
	}
	if c.Hash.Policy == balancer.PolicyHAProxy {
		c.checkIDs(d)
	}
}

// checkIDs wants ids of the hosts by which HAProxy could tell them apart. That two
// are equal, checkHosts says.
func (c *Config) checkIDs(d *document) {
	first := map[uint32]int{}
	for i, h := range c.Pool.Hosts {
		path := item("pool.hosts", i) + ".id"
		if h.ID == 0 || h.ID > balancer.MaxHAProxyID {
			d.fail(path, "the policy haproxy places hosts by their ids, and this host's is missing or too large",
				fmt.Sprintf("give the id of its server line in HAProxy, from 1 to %d", balancer.MaxHAProxyID))
			continue
		}
		j, taken := first[h.ID%balancer.HAProxyIDs]
		if other := c.Pool.Hosts[j]; taken && other.ID != h.ID {
			d.fail(path, fmt.Sprintf("HAProxy can't tell the ids %d and %d of %s apart", h.ID, other.ID, other.Name),
				fmt.Sprintf("ids must differ modulo %d", balancer.HAProxyIDs))
		}
		first[h.ID%balancer.HAProxyIDs] = i
	}
}
