// Package affinity keeps clients on their hosts by a cookie. It finds the valid cookie of a
// request, sets the cookie of an answer, and seals the values of cookies. A client's
// cookie is a secret and is never logged.
package affinity

import (
	"bytes"
	"strings"
	"sync/atomic"
	"time"

	"tokenring/http1"
)

// Cookies reads the affinity cookie of requests and sets the one of answers. A nil
// *Cookies does nothing. It is immutable and safe for concurrent use.
//
// A cookie that isn't sealed by one of the keys, or that has expired, is ignored: the
// request is served, and the answer replaces the cookie.
type Cookies struct {
	name       string
	attributes string // of Set-Cookie, behind the value
	indirect   bool
	nocache    bool
	lifetimes  lifetimes
	sealer     atomic.Pointer[Sealer]
}

// A Cookie is a valid affinity cookie of a request.
type Cookie struct {
	Payload
	old bool // not sealed with the first key
}

// maxCookies is how many affinity cookies of one request are tried. A browser may have
// several, with different domains or paths.
const maxCookies = 4

// New returns nil if c is nil. The defaults of c must be set. The first secret seals values,
// and all secrets open values. Without secrets, the key is random.
func New(c *CookieConfig, secrets [][]byte) *Cookies {
	if c == nil {
		return nil
	}
	a := &Cookies{
		name:       c.Name,
		attributes: attributes(c),
		indirect:   *c.Indirect,
		nocache:    *c.NoCache,
		lifetimes:  lifetimes{idle: c.MaxIdle, life: c.MaxLife},
	}
	a.SetSecrets(secrets)
	return a
}

// SetSecrets replaces the secrets: see New. It is safe for concurrent use, and does nothing
// for nil.
func (a *Cookies) SetSecrets(secrets [][]byte) {
	if a != nil {
		a.sealer.Store(NewSealer(a.name, secrets))
	}
}

// attributes returns what follows the value in Set-Cookie (RFC 6265 §4.1). Like HAProxy's
// cookie, it has no date, so that the browser drops it when the browser ends.
func attributes(c *CookieConfig) string {
	text := "; Path=/"
	if c.Domain != "" {
		text += "; Domain=" + strings.TrimPrefix(c.Domain, ".")
	}
	if *c.HTTPOnly {
		text += "; HttpOnly"
	}
	if *c.Secure {
		text += "; Secure"
	}
	if c.SameSite != "" {
		text += "; SameSite=" + strings.ToUpper(c.SameSite[:1]) + c.SameSite[1:]
	}
	if c.Partitioned {
		text += "; Partitioned"
	}
	return text
}

// Find returns the first affinity cookie of a request that is valid at now, nil if there is
// none.
func (a *Cookies) Find(fields []http1.Field, now time.Time) *Cookie {
	if a == nil {
		return nil
	}
	tries := 0
	for i := range fields {
		if fields[i].Kind != http1.KindCookie {
			continue
		}
		for rest, more := fields[i].Value, true; more && tries < maxCookies; {
			var name, value []byte
			if name, value, rest, more = http1.CutCookie(rest); string(name) != a.name {
				continue
			}
			tries++
			if p, old, ok := a.sealer.Load().Open(value); ok && a.lifetimes.valid(p, now) {
				return &Cookie{p, old}
			}
		}
	}
	return nil
}

// Hidden returns the name of the cookie that isn't sent to hosts, "" if there is none.
func (a *Cookies) Hidden() string {
	if a == nil || !a.indirect {
		return ""
	}
	return a.name
}

// Shield marks the fields of a host's answer that set the affinity cookie as hop-by-hop, so
// that the client doesn't get them. Hosts run users' code, which could otherwise give a
// user another user's cookie.
func (a *Cookies) Shield(fields []http1.Field) {
	if a == nil {
		return
	}
	for i := range fields {
		if f := &fields[i]; f.Kind == http1.KindSetCookie {
			if name, _, _, _ := http1.CutCookie(f.Value); string(bytes.TrimRight(name, " \t")) == a.name {
				f.Hop = true
			}
		}
	}
}

// Set shields a host's answer, and adds the cookie that keeps the client on that host. It
// adds none if c, the valid cookie of the request, is still right; c is nil if there is
// none. now is when the request came.
func (a *Cookies) Set(resp *http1.Response, host string, c *Cookie, now time.Time) {
	if a == nil {
		return
	}
	a.Shield(resp.Fields)
	p, moved := Payload{Host: host}, c == nil || c.Host != host
	if !moved {
		p = c.Payload
	}
	p, due := a.lifetimes.renew(p, now)
	if !moved && !due && !c.old {
		return
	}
	value := make([]byte, 0, len(a.name)+len("=")+maxValue+len(a.attributes))
	value = append(append(value, a.name...), '=')
	value = append(a.sealer.Load().Append(value, p), a.attributes...)
	resp.Fields = append(resp.Fields, http1.Field{Name: setCookie, Value: value, Kind: http1.KindSetCookie})
	if a.nocache && resp.Status >= 200 { // an interim answer is never cached
		resp.Fields = append(resp.Fields, http1.Field{Name: cacheControl, Value: private})
	}
}

var (
	setCookie    = []byte("Set-Cookie")
	cacheControl = []byte("Cache-Control")
	private      = []byte("private")
)
