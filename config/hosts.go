package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"tokenring/balancer"
	"tokenring/netaddr"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// inHostsFile is what the list in pool.hosts_file is called in errors.
const inHostsFile = "hosts"

// ListedHosts returns the hosts of pool.hosts, and those that pool.hosts_file had when the
// configuration was read.
func (c *Config) ListedHosts() []hostlist.Host { return slices.Concat(c.Pool.Hosts, c.fileHosts) }

// ReadHosts returns the hosts that pool.hosts_file has now. The error is in one line: the
// first mistake with its place and what to write instead, and how many more there are.
func (c *Config) ReadHosts() ([]hostlist.Host, error) {
	hosts, errs := c.readHostsFile()
	if len(errs) > 0 {
		return nil, errs.brief()
	}
	return hosts, nil
}

// checkHostsFile checks pool.hosts_file and the hosts in it.
func (c *Config) checkHostsFile(d *document) {
	if d.checkFile("pool.hosts_file", &c.Pool.HostsFile) {
		c.fileHosts, d.elsewhere = c.readHostsFile()
	}
}

// readHostsFile reads pool.hosts_file: a list of hosts as in pool.hosts, in YAML or JSON.
// The hosts must not have anything that those of pool.hosts have, too.
func (c *Config) readHostsFile() ([]hostlist.Host, Errors) {
	file := c.Pool.HostsFile
	d := newDocument(file, nil)
	err := readable(file)
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		d.report(spot{1, 1}, "", fmt.Sprintf("the file can't be read: %v", err), "it must be a plain file that this user may read")
		return nil, d.errors()
	}
	d = newDocument(file, data)
	hosts := inPool(c.of, d.decodeHosts(data))
	if !d.broken {
		c.checkHosts(hostList{d, inHostsFile, hosts, c.Pool.Hosts})
	}
	return hosts, d.errors()
}

// decodeHosts returns the hosts in data. An empty file is a mistake: it may be half written.
func (d *document) decodeHosts(data []byte) []hostlist.Host {
	root := d.parse(spaced(data))
	if root == nil {
		if !d.broken {
			d.broken = true
			d.report(spot{1, 1}, "", "there is no list of hosts in this file", "write [] if there are none, else items as in pool.hosts: "+
				`- {name: ide-1, address: "10.0.0.11:4000"}`)
		}
		return nil
	}
	var hosts []hostlist.Host
	d.decode(inHostsFile, root, reflect.ValueOf(&hosts).Elem())
	for i, h := range hosts {
		hosts[i] = h.WithDefaults()
	}
	return hosts
}

// spaced returns data with a space in place of each tab, if it is JSON. A tab in JSON is
// always indentation, and in YAML it never is.
func spaced(data []byte) []byte {
	if !bytes.ContainsRune(data, '\t') || !json.Valid(data) {
		return data
	}
	return bytes.ReplaceAll(data, []byte("\t"), []byte(" "))
}

// A hostList is a list of hosts in a document.
type hostList struct {
	*document
	path   string // of the list in the document
	hosts  []hostlist.Host
	beside []hostlist.Host // the hosts of pool.hosts, if the list is in another file
}

// checkHosts checks each host of a list, and reports hosts that are there twice.
func (c *Config) checkHosts(l hostList) {
	first := map[string]string{} // path by name, id or address; "" for a host of pool.hosts
	for _, h := range l.beside {
		for _, value := range []string{"name=" + h.Name, "address=" + strings.ToLower(h.Address), "id=" + fmt.Sprint(h.ID)} {
			first[value] = ""
		}
	}
	for i, h := range l.hosts {
		path := item(l.path, i)
		if err := checkHostName(c.of, h.Name); err != nil {
			l.fail(path+".name", err.Error(), "write a name such as ide-1")
		}
		l.checkService(path+".address", h.Address)
		if weight := h.Weight; weight < 0 || weight > route.MaxWeight {
			l.fail(path+".weight", fmt.Sprintf("%d is not in 0..%d", weight, route.MaxWeight), "the default is 1; a host of weight 0 gets no tokens until an operator sets another weight")
		}
		l.checkMaxConnections(path+".max_connections", h.MaxConnections)
		l.unique(first, path+".name", h.Name)
		l.unique(first, path+".address", strings.ToLower(h.Address))
		if h.ID != 0 {
			l.unique(first, path+".id", fmt.Sprint(h.ID))
		}
	}
	if c.Hash.Policy == balancer.PolicyHAProxy {
		l.checkIDs()
	}
	c.checkRoom(l)
}

// checkBackups reports a pool whose hosts are all backups. others says whether hosts may come that
// aren't listed.
func (c *Config) checkBackups(d *document, others bool) {
	all := c.ListedHosts()
	if others || len(all) == 0 || slices.ContainsFunc(all, func(h hostlist.Host) bool { return !h.Backup }) {
		return
	}
	path := "pool.hosts_file"
	if len(c.Pool.Hosts) > 0 {
		path = "pool.hosts[0].backup"
	}
	d.fail(path, "every host of this pool is a backup, so there is none that they could stand in for", "remove backup from the hosts that are to serve first")
}

// checkHostName checks the full name of a host of a pool. What is written must have no pool.
func checkHostName(pool, name string) error {
	if err := route.CheckName(strings.TrimPrefix(name, pool+"/")); err != nil {
		return err
	}
	return route.CheckHostName(name)
}

// checkService reports the address of a service that can't be connected to.
func (d *document) checkService(path, address string) {
	if _, ok := netaddr.UnixPath(address); !ok {
		d.checkAddress(path, address, "10.0.0.11:4000 or ide-1.internal:4000")
		return
	}
	if err := route.CheckUnix(address); err != nil {
		d.fail(path, err.Error(), "write for example unix:/run/ide.sock")
	}
}

// checkIDs reports hosts without an id that HAProxy can use, and ids that are the same to
// HAProxy. checkHosts reports equal ids.
func (l hostList) checkIDs() {
	first := map[uint32]hostlist.Host{}
	for _, h := range l.beside {
		first[h.ID%balancer.HAProxyIDs] = h
	}
	for i, h := range l.hosts {
		path := item(l.path, i) + ".id"
		if h.ID == 0 || h.ID > balancer.MaxHAProxyID {
			l.fail(path, "the policy haproxy places hosts by their ids, and the id of this host is missing or too large",
				fmt.Sprintf("write the id of its server line in HAProxy, from 1 to %d", balancer.MaxHAProxyID))
			continue
		}
		if other, taken := first[h.ID%balancer.HAProxyIDs]; taken && other.ID != h.ID {
			l.fail(path, fmt.Sprintf("to HAProxy, the ids %d and %d (of %s) are the same", h.ID, other.ID, other.Name),
				fmt.Sprintf("ids must differ modulo %d", balancer.HAProxyIDs))
		}
		first[h.ID%balancer.HAProxyIDs] = h
	}
}

// checkRoom reports hosts that don't all fit in a ring. If there are errors about single
// hosts or the policy, it reports nothing.
func (c *Config) checkRoom(l hostList) {
	list, hash := l.document.path(l.path), l.document.path("hash")
	for path := range l.failed {
		if path == list || strings.HasPrefix(path, list+"[") || strings.HasPrefix(path, hash) {
			return
		}
	}
	var hosts []balancer.Host
	for _, h := range slices.Concat(l.beside, l.hosts) {
		hosts = append(hosts, h.TableHost())
	}
	remedy := "use smaller weights (only their proportions count), fewer hosts, or another hash.policy"
	if c.Hash.Policy == balancer.PolicyHAProxy {
		remedy = "use fewer hosts, or smaller weights; with this policy, other weights move tokens even if their proportions are the same"
	}
	if err := c.Hash.Check(hosts); err != nil {
		these := "these hosts"
		if len(l.beside) > 0 {
			these += " beside those of pool.hosts"
		}
		l.fail(l.path, fmt.Sprintf("the policy %s has no room for %s: %v", c.Hash.Policy, these, err), remedy)
	}
}

// unique reports a value that an earlier host has at the same key.
func (l hostList) unique(first map[string]string, path, value string) {
	if value == "" {
		return
	}
	key := path[strings.LastIndexByte(path, '.')+1:]
	earlier, twice := first[key+"="+value]
	switch {
	case !twice:
		first[key+"="+value] = path
	case earlier == "":
		l.fail(path, fmt.Sprintf("a host of pool.hosts, in the configuration, already has the %s %s", key, value), "each host needs its own: remove it here or there")
	default:
		l.fail(path, fmt.Sprintf("another host already has the %s %s", key, value), fmt.Sprintf("see line %d: each host needs its own", l.values[l.document.path(earlier)].line))
	}
}
