package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/balancer"
	"tokenring/netaddr"
	"tokenring/proxy/affinity"
)

// maxSecrets bounds the files of keys. Each may have two keys, and lb tries all of them on
// each cookie.
const maxSecrets = 8

func (c *Config) checkAffinity(d *document) {
	k := c.Affinity.Cookie
	if k == nil {
		return
	}
	c.checkCookieName(d, k)
	d.checkCookieAttributes(k)
	d.checkCookieTimes(k)
	c.checkCookieSecrets(d, k)
}

func (c *Config) checkCookieName(d *document, k *affinity.CookieConfig) {
	const path = "affinity.cookie.name"
	if !isToken(k.Name) {
		d.fail(path, fmt.Sprintf("no cookie can have the name %q", k.Name), "write letters, digits, - and _, such as lb")
		return
	}
	if slices.Contains(c.Hash.Key, balancer.KeyRule{Source: balancer.KeyCookie, Name: k.Name}) {
		d.fail(path, "hash.key takes this cookie as the key, and lb would overwrite it", "give one of them another name")
	}
	lower := strings.ToLower(k.Name) // as browsers compare it
	onHost := strings.HasPrefix(lower, "__host-")
	if (onHost || strings.HasPrefix(lower, "__secure-")) && !*k.Secure {
		d.fail(path, "browsers keep a cookie of this name only with secure: true", "set it, or choose a name without the prefix")
	}
	if onHost && k.Domain != "" {
		d.fail(path, "browsers keep a cookie of this name only without a domain", "leave domain out, or choose a name without the prefix")
	}
}

// isToken reports whether a cookie (RFC 6265 §4.1.1) or a field (RFC 9110 §5.1) can have a
// name.
func isToken(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

func (d *document) checkCookieAttributes(k *affinity.CookieConfig) {
	const path = "affinity.cookie"
	if k.SameSite != "" {
		d.checkWord(path+".same_site", k.SameSite, "strict", "lax", "none")
	}
	if k.SameSite == "none" && !*k.Secure {
		d.fail(path+".same_site", "browsers keep a cookie with same_site: none only with secure: true", "set it, or use lax")
	}
	if k.Partitioned && !*k.Secure {
		d.fail(path+".partitioned", "browsers keep a partitioned cookie only with secure: true", "set it, or leave partitioned out")
	}
	if domain := strings.TrimPrefix(k.Domain, "."); k.Domain != "" && (!netaddr.HostLike(domain) || !strings.Contains(domain, ".")) {
		d.fail(path+".domain", fmt.Sprintf("%q is no domain name", k.Domain), "write for example example.com, or leave it out")
	}
}

func (d *document) checkCookieTimes(k *affinity.CookieConfig) {
	for _, t := range []struct {
		path  string
		value time.Duration
	}{{"affinity.cookie.max_idle", k.MaxIdle}, {"affinity.cookie.max_life", k.MaxLife}} {
		if t.value > 0 && t.value < time.Second {
			d.fail(t.path, fmt.Sprintf("%s is too short: the cookie's dates are in seconds", t.value), "write for example 8h")
		}
	}
	if k.MaxLife > 0 && k.MaxIdle > k.MaxLife {
		d.fail("affinity.cookie.max_idle", fmt.Sprintf("a cookie that ends after %s (max_life) can't be unused for %s", k.MaxLife, k.MaxIdle), "make max_idle shorter, or leave it out")
	}
}

// checkCookieSecrets checks the keys. Errors never show the files' content.
func (c *Config) checkCookieSecrets(d *document, k *affinity.CookieConfig) {
	const path = "affinity.cookie.secret_file"
	if len(k.SecretFile) == 0 {
		if c.Peers.Bind != "" {
			d.fail(path, "the balancers in peers need the same key: with different keys, each would replace the other's cookies", "make a key with: head -c 32 /dev/urandom | base64; give it to all balancers, and name its file here")
		}
		return
	}
	if len(k.SecretFile) > maxSecrets {
		d.fail(path, fmt.Sprintf("there are %d keys", len(k.SecretFile)), fmt.Sprintf("at most %d are possible; two are enough to change the key", maxSecrets))
		return
	}
	for i := range k.SecretFile {
		at, file := path, &k.SecretFile[i]
		if d.has(item(path, i)) {
			at = item(path, i)
		}
		d.checkSecrets(at, file)
		switch {
		case *file == c.Pool.SecretFile:
			d.fail(at, "this is the pool's secret, which every host has", "the cookie needs a secret of its own: a host must not be able to forge one")
		case slices.Contains(k.SecretFile[:i], *file):
			d.fail(at, "the same file is in the list twice", "remove one of them")
		}
	}
}
