package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/balancer"
	"tokenring/statefile"
	"tokenring/tlsterm"
)

// warn finds what works and will be a trouble, or is one for somebody else. The
// file has no errors.
func (c *Config) warn(d *document, now time.Time) {
	c.warnOfPlainListeners(d)
	c.warnOfCertificates(d, now)
	c.warnOfReadableSecrets(d)
	c.warnOfManyHosts(d)
	if c.Admin.Insecure && !loopback(c.Admin.Address) {
		d.warn("admin.insecure", "the admin token crosses the network in clear: who listens there rules the region",
			"set admin.tls: {cert: …, key: …}, or let a tunnel or a network of its own carry it")
	}
	if why := unusableDir(c.StateDir); why != "" {
		d.warn("state_dir", fmt.Sprintf("%s %s; lb run doesn't start as this user", c.StateDir, why), "make it for the user of lb run: install -d -m 700 -o USER "+c.StateDir)
	}
}

// warnOfPlainListeners finds listeners on which users' tokens can be read by
// whoever is between.
func (c *Config) warnOfPlainListeners(d *document) {
	secret := false
	for _, rule := range c.Hash.Key {
		secret = secret || rule.Source != balancer.KeyClient
	}
	for i, l := range c.Listen {
		if secret && !l.TLS && !l.RedirectHTTPS && !loopback(l.Address) {
			d.warn(item("listen", i)+".address", "users' tokens cross the network in clear here, and a token is all that it takes to be its user",
				"add tls: true, or redirect_https: true; a proxy in front that ends TLS should reach this listener on loopback")
		}
	}
}

func (c *Config) warnOfCertificates(d *document, now time.Time) {
	for i := range c.TLS.Certificates {
		d.warnOfExpiry(item("tls.certificates", i), c.TLS.Certificates[i], now)
	}
	if c.Admin.TLS != nil {
		d.warnOfExpiry("admin.tls", *c.Admin.TLS, now)
	}
}

func (d *document) warnOfExpiry(path string, pair tlsterm.Pair, now time.Time) {
	expiry, err := tlsterm.ReadPair(pair)
	if alarm := expiry.Alarm(now); err == nil && alarm != "" {
		d.warn(path+".cert", alarm, "put a new one there; it is read again by itself")
	}
}

// warnOfReadableSecrets looks at the mode of each file that holds a secret, also of
// those that lb run has made itself, and of lb.yaml if it has one in it.
func (c *Config) warnOfReadableSecrets(d *document) {
	for i, pair := range c.TLS.Certificates {
		d.warnIfExposed(item("tls.certificates", i)+".key", pair.Key)
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
	d.warn(path, fmt.Sprintf("everybody on this machine may use the secret in %s (mode %04o)", file, mode), "remove the right of others: chmod o-rwx "+file)
}

// warnIfWritable is about a directory: who can put files there makes the secrets.
func (d *document) warnIfWritable(path, dir string) {
	if mode, exposed := statefile.Exposed(dir); exposed {
		d.warn(path, fmt.Sprintf("everybody on this machine may put files in %s (mode %04o), also in place of secrets", dir, mode), "remove the right of others: chmod o-w "+dir)
	}
}

// warnOfExposedCache looks at what ACME has left in its cache: the keys of the
// account and of the certificates.
func (d *document) warnOfExposedCache(dir string) {
	const path = "tls.acme.cache"
	d.warnIfWritable(path, dir)
	files, _ := os.ReadDir(dir) // none yet, or not for this user to see
	for _, file := range files {
		if file.Type().IsRegular() {
			d.warnIfExposed(path, filepath.Join(dir, file.Name()))
		}
	}
}

// manyHosts is how many hosts get fairly even shares by the policy consistent: see
// docs/hashing.md.
const manyHosts = 150

func (c *Config) warnOfManyHosts(d *document) {
	if n := len(c.Pool.Hosts); c.Hash.Policy == balancer.PolicyConsistent && n > manyHosts {
		d.warn("pool.hosts", fmt.Sprintf("with %d hosts the policy consistent gives some of them far more keys than others", n),
			"rendezvous gives evener shares, and docs/hashing.md compares them; changing to another policy moves most keys once")
	}
}

// unusableDir says why lb run couldn't keep its state in dir, "" if it can: it makes
// the directory if there is none.
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
