package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/balancer"
	"tokenring/netaddr"
	"tokenring/statefile"
	"tokenring/tlsterm"
)

// warn notes warnings: settings that work and may cause trouble, now or later. The file
// has no errors.
func (c *Config) warn(d *document, now time.Time) {
	c.warnOfPlainListeners(d)
	c.warnOfCertificates(d, now)
	c.warnOfReadableSecrets(d)
	c.warnOfManyHosts(d)
	c.warnOfRoutes(d)
	c.warnOfRefusedRedirects(d)
	c.warnOfNetworks(d)
	c.warnOfHostTLS(d, now)
	c.warnOfCertificateKeys(d)
	c.warnOfProofs(d)
	for _, name := range c.PoolNames() {
		d.pool = under("pools", name)
		c.OfPool(name).warnOfHostTLS(d, now)
		c.OfPool(name).warnOfCertificateKeys(d)
	}
	d.pool = ""
	if c.Admin.Insecure && !loopback(c.Admin.Address) {
		d.warn("admin.insecure", "the admin token crosses the network unencrypted: whoever reads it there controls the region",
			"set admin.tls: {cert: …, key: …}, or use a tunnel or a separate network")
	}
	if why := unusableDir(c.StateDir); why != "" {
		d.warn("state_dir", fmt.Sprintf("%s %s; lb run doesn't start as this user", c.StateDir, why), "make it for the user of lb run: install -d -m 700 -o USER "+c.StateDir)
	}
}

// warnOfPlainListeners warns of listeners on which the network can read users' tokens.
func (c *Config) warnOfPlainListeners(d *document) {
	secret := false
	for _, rule := range c.Hash.Key {
		secret = secret || rule.Source != balancer.KeyClient && rule.Source != balancer.KeyCertificate
	}
	for i, l := range c.Listen {
		if secret && !l.TLS && !l.RedirectHTTPS && !loopback(l.Address) {
			d.warn(item("listen", i)+".address", "users' tokens cross the network unencrypted here, and whoever has a token can act as its user",
				"add tls: true, or redirect_https: true; a proxy in front that ends TLS should reach this listener on loopback")
		}
	}
}

func (c *Config) warnOfCertificates(d *document, now time.Time) {
	for path, t := range c.terms() {
		for i := range t.Certificates {
			d.warnOfExpiry(item(path+".certificates", i), t.Certificates[i], now)
		}
		d.warnOfDirectory(path+".directory", t.Directory, now)
	}
	if c.Admin.TLS != nil {
		d.warnOfExpiry("admin.tls", *c.Admin.TLS, now)
	}
}

// terms yields the path of each section that says what clients are shown, and its content.
func (c *Config) terms() iter.Seq2[string, *tlsterm.Terms] {
	return func(yield func(string, *tlsterm.Terms) bool) {
		if !yield("tls", &c.TLS.Terms) {
			return
		}
		for i, l := range c.Listen {
			if l.OwnTLS != nil && !yield(item("listen", i)+".own_tls", l.OwnTLS) {
				return
			}
		}
	}
}

// warnOfDirectory warns of the certificates in a directory that can't be used, or expire soon.
func (d *document) warnOfDirectory(path, dir string, now time.Time) {
	if dir == "" {
		return
	}
	all, _ := tlsterm.ReadDirectory(dir) // check has reported an error
	for _, e := range all {
		if alarm := e.Alarm(now); alarm != "" {
			d.warn(path, alarm, "put another certificate there; lb finds it without a restart")
		}
	}
}

func (d *document) warnOfExpiry(path string, pair tlsterm.Pair, now time.Time) {
	expiry, err := tlsterm.ReadPair(pair)
	if alarm := expiry.Alarm(now); err == nil && alarm != "" {
		d.warn(path+".cert", alarm, "put a new certificate there; lb reads it without a restart")
	}
}

// warnOfReadableSecrets checks the mode of each file that has a secret, also of the files
// that lb run has made, and of lb.yaml if a secret is in it.
func (c *Config) warnOfReadableSecrets(d *document) {
	for path, t := range c.terms() {
		for i, pair := range t.Certificates {
			d.warnIfExposed(item(path+".certificates", i)+".key", pair.Key)
		}
		for _, file := range tlsterm.KeyFiles(t.Directory) {
			d.warnIfExposed(path+".directory", file)
		}
	}
	if c.TLS.ACME != nil {
		d.warnOfExposedCache(c.TLS.ACME.Cache)
	}
	if c.Hash.Seed != "" {
		d.warnIfExposed("hash.seed", d.name)
	}
	if c.Affinity.Cookie != nil {
		for i, file := range c.Affinity.Cookie.SecretFile {
			d.warnIfExposed(item("affinity.cookie.secret_file", i), file)
		}
	}
	d.warnIfExposed("pool.secret_file", c.Pool.SecretFile)
	d.warnIfExposed("peers.secret_file", c.Peers.SecretFile)
	d.warnIfExposed("admin.token_file", c.Admin.TokenFile)
	d.warnIfExposed("admin.read_token_file", c.Admin.ReadTokenFile)
	if c.Admin.TLS != nil {
		d.warnIfExposed("admin.tls.key", c.Admin.TLS.Key)
	}
	d.warnIfWritable("state_dir", c.StateDir)
	d.warnIfExposed("state_dir", c.DigestKeyFile())
	d.warnIfExposed("state_dir", c.AffinityKeyFile())
	if c.Admin.TokenFile == "" {
		d.warnIfExposed("state_dir", c.Admin.TokenFileIn(c.StateDir))
	}
}

func (d *document) warnIfExposed(path, file string) {
	mode, exposed := statefile.Exposed(file)
	if !exposed {
		return
	}
	d.warn(path, fmt.Sprintf("all users of this machine may use the secret in %s (mode %04o)", file, mode), "remove the permissions of others: chmod o-rwx "+file)
}

// warnIfWritable warns of a directory in which others can put files, because they could
// replace secrets.
func (d *document) warnIfWritable(path, dir string) {
	if mode, exposed := statefile.Exposed(dir); exposed {
		d.warn(path, fmt.Sprintf("all users of this machine may put files in %s (mode %04o), also in place of secrets", dir, mode), "remove the permissions of others: chmod o-w "+dir)
	}
}

// warnOfExposedCache checks the files in ACME's cache: the keys of the account and of the
// certificates.
func (d *document) warnOfExposedCache(dir string) {
	const path = "tls.acme.cache"
	d.warnIfWritable(path, dir)
	files, _ := os.ReadDir(dir) // an error means that there is none yet, or that this user may not read it
	for _, file := range files {
		if file.Type().IsRegular() {
			d.warnIfExposed(path, filepath.Join(dir, file.Name()))
		}
	}
}

// manyHosts is the number of hosts up to which shares are fairly even with the policy
// consistent: see docs/hashing.md.
const manyHosts = 150

func (c *Config) warnOfManyHosts(d *document) {
	if n := len(c.ListedHosts()); c.Hash.Policy == balancer.PolicyConsistent && n > manyHosts {
		d.warn(manyHostsAt(d), fmt.Sprintf("with %d hosts the policy consistent gives some of them far more keys than others", n),
			"the shares of rendezvous are more even, and docs/hashing.md compares the policies; a change of the policy moves most keys once")
	}
}

// manyHostsAt returns where the hosts are listed.
func manyHostsAt(d *document) string {
	if d.has("pool.hosts") {
		return "pool.hosts"
	}
	return "pool.hosts_file"
}

// warnOfNetworks looks at where hosts may be. Every host has the pool's secret, and runs
// users' code.
func (c *Config) warnOfNetworks(d *document) {
	p := c.Pool
	networks, err := netaddr.ParseNetworks(p.AllowedNetworks)
	if err != nil || p.Bind == "" || loopback(cmp.Or(p.Advertise, p.Bind)) {
		return
	}
	if len(networks) == 0 {
		d.warn("pool.bind", "a host may be at any IP address that it gives as its gossip's, and the balancer checks and calls that address",
			"set pool.allowed_networks to the networks of the hosts, such as [10.0.0.0/16]; see docs/hosts.md")
	}
	for i, network := range networks {
		if network.Addr().IsLoopback() || network.Addr().IsLinkLocalUnicast() {
			d.warn(item("pool.allowed_networks", i), "no host is admitted in "+network.String()+", because its addresses are local to a machine and pool.bind isn't on loopback",
				"remove it, and let agents announce addresses at which balancers reach them")
		}
	}
}

// warnOfHostTLS warns of hosts that anybody in the network could stand for, and of a certificate
// for hosts that expires soon.
func (c *Config) warnOfHostTLS(d *document, now time.Time) {
	t := c.Pool.TLS
	if t == nil {
		return
	}
	if !t.Verifies() {
		d.warn("pool.tls.verify", "whoever can redirect connections in the network can stand for a host, and gets users' tokens", "name the authority of the hosts' certificates in "+d.path("pool.tls.ca"))
	}
	if t.Cert != "" {
		d.warnOfExpiry("pool.tls", tlsterm.Pair{Cert: t.Cert, Key: t.Key}, now)
		d.warnIfExposed("pool.tls.key", t.Key)
	}
}

// unusableDir returns why lb run can't keep its state in dir, "" if it can. lb run makes
// dir if it is missing.
func unusableDir(dir string) string {
	missing := false
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)) && at != filepath.Dir(at):
			missing = true
			continue
		case err == nil && !info.IsDir():
			return fmt.Sprintf("can't be made: %s is a file", at)
		case err == nil:
			err = unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		}
		switch {
		case err == nil:
			return ""
		case missing:
			return fmt.Sprintf("can't be made in %s: %v", at, err)
		}
		return fmt.Sprintf("can't be written to: %v", err)
	}
}
