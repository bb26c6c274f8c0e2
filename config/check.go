package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tokenring/health"
	"tokenring/logsink"
	"tokenring/netaddr"
	"tokenring/proxy"
	"tokenring/proxy/accesslog"
	"tokenring/route"
)

// check reports errors that no part can find alone, and the parts' own errors at their
// places in the file.
func (c *Config) check(d *document) {
	c.checkName(d)
	if c.GSLB != nil {
		c.checkGSLB(d)
		return
	}
	c.checkListen(d)
	c.checkOverlaps(d)
	c.checkTLS(d)
	c.checkHash(d)
	c.checkPool(d)
	c.checkRoutes(d)
	c.checkPeers(d)
	c.checkDrain(d)
	c.checkAffinity(d)
	c.checkHealth(d)
	c.checkPools(d)
	c.checkSecondChance(d)
	c.checkAdmin(d)
	c.checkPages(d)
	c.checkFields(d)
	c.checkAccess(d)
	c.checkRest(d)
}

func (c *Config) checkDrain(d *document) {
	if share := c.Drain.MinServing; !(share >= 0 && share <= 1) { // nor NaN
		d.fail("drain.min_serving", fmt.Sprintf("%g is no share of the hosts' weight", share), "use a number from 0 to 1; 0.5 is half")
	}
}

func (c *Config) checkName(d *document) {
	err := route.CheckName(c.Name)
	if err == nil {
		return
	}
	if d.has("name") {
		d.fail("name", err.Error(), "write a name such as lb-1")
		return
	}
	d.fail("name", "this machine's host name can't be used: "+err.Error(), "set name, such as lb-1")
}

func (c *Config) checkListen(d *document) {
	if len(c.Listen) == 0 {
		d.fail("listen", "there is nothing to listen on", `write for example listen: [{address: ":443", tls: true}]`)
	}
	for i, l := range c.Listen {
		path := item("listen", i)
		if l.Address == "" {
			d.fail(path+".address", "the address is missing", `write for example address: ":443"`)
		} else {
			d.checkListenAddress(path+".address", l.Address)
		}
		if l.TLS && l.RedirectHTTPS {
			d.fail(path+".redirect_https", "a listener with tls: true can't redirect to https as well", "redirect from a plain listener, such as "+`{address: ":80", redirect_https: true}`)
		}
		if l.RedirectKeepKey && !l.RedirectHTTPS {
			d.fail(path+".redirect_keep_key", "this listener doesn't redirect", "add redirect_https: true, or leave redirect_keep_key out")
		}
		if l.HTTP2 != nil && *l.HTTP2 && !l.TLS {
			d.fail(path+".http2", "browsers speak HTTP/2 over TLS only, and so does this listener", "add tls: true, or leave http2 out")
		}
		d.checkHalfClose(path+".half_close", l)
		c.checkProxyProtocol(d, path+".proxy_protocol", l)
		c.checkListenTLS(d, path, l)
	}
}

// checkProxyProtocol reports an unknown word, and a listener that would refuse every connection.
func (c *Config) checkProxyProtocol(d *document, path string, l proxy.ListenConfig) {
	switch {
	case l.ProxyProtocol == "":
	case l.ProxyProtocol != proxy.ProxyProtocolRequired:
		d.checkWord(path, l.ProxyProtocol, proxy.ProxyProtocolRequired)
	case len(c.TrustedNetworks) == 0:
		d.fail(path, "the header is taken from trusted networks only, and there are none", "add the addresses of the balancers in front to trusted_networks")
	}
}

// checkHalfClose reports an unknown word, and a listener with TLS, which has no
// half-close.
func (d *document) checkHalfClose(path string, l proxy.ListenConfig) {
	if l.HalfClose == "" {
		return
	}
	if l.TLS {
		d.fail(path, "TLS has no half-close: a client that ends its direction has left", "leave it out; it is for listeners without tls")
		return
	}
	d.checkWord(path, l.HalfClose, proxy.HalfCloseServe, proxy.HalfCloseAbort)
}

// checkListenAddress reports an address that isn't host:port; the host may be missing.
func (d *document) checkListenAddress(path, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		d.fail(path, fmt.Sprintf("the address %q is not host:port", address), `write for example ":443", "10.0.0.2:443" or "[fd00::2]:443"`)
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 || strings.HasPrefix(port, "+") {
		d.fail(path, fmt.Sprintf("%q is no port", port), "ports are 1 to 65535; 0 is any free port")
		return
	}
	if host != "" && !netaddr.HostLike(host) {
		d.fail(path, fmt.Sprintf("%q is neither an IP address nor a host name", host), "leave it out to listen on all addresses")
	}
}

// checkOverlaps reports listeners that can't have their addresses at the same time.
func (c *Config) checkOverlaps(d *document) {
	type listener struct{ path, address string }
	var all []listener
	for i, l := range c.Listen {
		all = append(all, listener{item("listen", i) + ".address", l.Address})
	}
	all = append(all, listener{"pool.bind", c.Pool.Bind}, listener{"peers.bind", c.Peers.Bind}, listener{"peers.stream", c.Peers.Stream}, listener{"admin.address", c.Admin.Address}, listener{"admin.metrics_address", c.Admin.MetricsAddress})
	for i, l := range all {
		for _, other := range all[:i] {
			if overlap(l.address, other.address) {
				d.fail(l.path, fmt.Sprintf("%s is already used: %s is %s", l.address, other.path, other.address), "give each its own port")
				break
			}
		}
	}
}

func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return strings.EqualFold(hostA, hostB) || unspecified(a) || unspecified(b)
}

func (c *Config) checkHealth(d *document) {
	if err := health.ValidPath(c.Health.CheckPath()); err != nil {
		d.fail("health.path", "the path "+err.Error(), `write for example /healthz, or "" for a TCP connect only`)
	}
	if c.Health.Rise < 1 {
		d.fail("health.rise", "a host needs at least 1 check that passes to be up", "the default is 2")
	}
	if c.Health.Fall < 1 {
		d.fail("health.fall", "a host needs at least 1 check that fails to be down", "the default is 3")
	}
	if c.Health.Timeout > c.Health.Interval {
		path := "health.timeout"
		if !d.has(path) {
			path = "health.interval"
		}
		d.fail(path, fmt.Sprintf("the timeout (%s) is longer than the interval (%s): checks would overlap", c.Health.Timeout, c.Health.Interval), "make the timeout shorter or the interval longer")
	}
	if h := c.Health.Host; h != "" && strings.Trim(h, "[]:") == "" || strings.ContainsAny(h, " \t\r\n/?#@") {
		d.fail("health.host", fmt.Sprintf("%q can't be a Host field", h), "write for example ide.example.com")
	}
	c.checkAnswers(d)
	c.Health.checkOnDown(d)
}

func (c *Config) checkRest(d *document) {
	c.checkLimits(d)
	c.checkQuotas(d)
	c.checkGenerations(d)
	c.checkSessions(d)
	c.checkStrict(d)
	for i, network := range c.TrustedNetworks {
		d.checkNetwork(item("trusted_networks", i), network)
	}
	d.checkWord("log.level", c.Log.Level, "debug", "info", "warn", "error")
	d.checkWord("log.format", c.Log.Format, "json", "console", LogFormatHAProxy)
	for i, name := range c.Log.Fields {
		d.checkWord(item("log.fields", i), name, accesslog.MoreFields...)
	}
	d.checkOutput("log.output", &c.Log.Output)
	d.checkOutput("log.access_output", &c.Log.AccessOutput)
	d.checkDirectory("state_dir", &c.StateDir)
}

// checkLimits reports limits that are too small for browsers, and limits with which one
// client or host could use an unreasonable amount of memory.
func (c *Config) checkLimits(d *document) {
	const most = 1 << 20
	for _, l := range []struct {
		path        string
		value, from int
	}{
		{"limits.line", c.Limits.Line, 256},
		{"limits.head", c.Limits.Head, 1024},
		{"limits.fields", c.Limits.Fields, 10},
		{"limits.response.line", c.Limits.Response.Line, 256},
		{"limits.response.head", c.Limits.Response.Head, 1024},
		{"limits.response.fields", c.Limits.Response.Fields, 10},
	} {
		if d.has(l.path) && (l.value < l.from || l.value > most) {
			d.fail(l.path, fmt.Sprintf("%d is out of bounds", l.value), fmt.Sprintf("use a number from %d to %d", l.from, most))
		}
	}
	if d.has("limits.connections") && c.Limits.Connections < 1 {
		d.fail("limits.connections", "with this limit no client could connect", "write a number, or leave it out: the default follows from the limit of open files")
	}
	if d.has("limits.streams") && (c.Limits.Streams < 1 || c.Limits.Connections > 0 && c.Limits.Streams > c.Limits.Connections) {
		d.fail("limits.streams", fmt.Sprintf("%d is out of bounds", c.Limits.Streams), "use a number from 1 to limits.connections, or leave it out: the default is a quarter of limits.connections")
	}
	if c.Limits.Body < 0 {
		d.fail("limits.body", "the limit of a body can't be negative", "write a number of bytes, or leave it out for no limit")
	}
}

func (d *document) checkNetwork(path, network string) {
	if _, err := netaddr.ParseNetworks([]string{network}); err != nil {
		d.fail(path, fmt.Sprintf("%q is no network", network), "write for example 10.0.0.0/8 or 10.0.0.7")
	}
}

// checkOutput resolves the file to which logs go, and reports a destination that there isn't.
func (d *document) checkOutput(path string, to *string) {
	if *to == "" || *to == logsink.Stdout || *to == logsink.Stderr {
		return
	}
	parsed, err := logsink.Parse(*to)
	switch {
	case err != nil:
		d.fail(path, err.Error(), "write one of: "+logsink.Forms)
	case parsed.File != "":
		d.resolve(to)
		if info, err := os.Stat(filepath.Dir(*to)); err != nil || !info.IsDir() {
			d.fail(path, "there is no directory "+filepath.Dir(*to), "make it, or write one of: "+logsink.Forms)
		} else if info, err := os.Stat(*to); err == nil && info.IsDir() {
			d.fail(path, *to+" is a directory", "name a file in it")
		}
	}
}

// checkWord reports a word that isn't one of those that are known.
func (d *document) checkWord(path, word string, known ...string) {
	if !slices.Contains(known, word) {
		d.fail(path, fmt.Sprintf("%q is not known here", word), "use one of: "+strings.Join(known, ", "))
	}
}
