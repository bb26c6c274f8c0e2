package proxy

import (
	"strings"
	"time"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/pool"
)

// An affinity keeps clients on their hosts by a cookie of ours: set when a client
// has none that counts, read when it comes back, and seen by nobody in between. A
// nil affinity does nothing. An affinity is immutable and safe for concurrent use.
//
// A value that isn't one of ours, or has expired, or names a host that can't
// serve, is as good as none: it never fails a request, and another one takes its
// place. A value is a secret of its client and is never logged.
type affinity struct {
	name       string
	attributes string // of Set-Cookie, behind the value
	indirect   bool
	nocache    bool
	terms      terms
	vault      *vault
}

// A holding is a cookie that counts.
type holding struct {
	ticket
	old bool // made with a key that is on its way out
}

// ruleCookie says that the client's cookie named the host.
const ruleCookie balancer.Rule = "cookie"

// maxCookies is how many cookies of the name are tried in one request. A browser
// has several if they came with different domains or paths.
const maxCookies = 4

// newAffinity returns nil for a nil c. Defaults must be filled in.
func newAffinity(c *CookieConfig, secrets [][]byte) *affinity {
	if c == nil {
		return nil
	}
	return &affinity{
		name:       c.Name,
		attributes: attributes(c),
		indirect:   *c.Indirect,
		nocache:    *c.NoCache,
		terms:      terms{idle: c.MaxIdle, life: c.MaxLife},
		vault:      newVault(c.Name, secrets),
	}
}

// attributes writes what follows the value (RFC 6265 §4.1). There is no date: the
// browser drops the cookie when it ends, as with HAProxy's.
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

// find returns the first cookie of a request that counts, nil if there is none.
func (a *affinity) find(fields []http1.Field, now time.Time) *holding {
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
			if name, value, rest, more = cutCookie(rest); string(name) != a.name {
				continue
			}
			tries++
			if t, old, ok := a.vault.open(value); ok && a.terms.hold(t, now) {
				return &holding{t, old}
			}
		}
	}
	return nil
}

// hidden returns the name of the cookie that hosts don't see, "" if there is none.
func (a *affinity) hidden() string {
	if a == nil || !a.indirect {
		return ""
	}
	return a.name
}

// shield takes from an answer what a host says of our cookie. Users' code runs on
// hosts, and one could hand its user the cookie of another.
func (a *affinity) shield(fields []http1.Field) {
	if a != nil {
		dropSetCookie(fields, a.name)
	}
}

// byCookie returns the host that the client's cookie names, if it can serve: it has
// passed its checks, isn't in maint, doesn't say that it leaves, and isn't the one
// to avoid. A host in drain keeps its clients. An empty rule means that the cookie
// has no say. pool.RuleFrozen means that nobody is to serve: the host has vanished
// with many others, and what the client had there may well live on; pool.RuleMoving
// that it has moved, and its first check at the new address is under way.
func (x *exchange) byCookie(s *pool.Snapshot, avoid *pool.Host) (*pool.Host, balancer.Rule) {
	if x.cookie == nil {
		return nil, ""
	}
	h := s.Host(x.cookie.host)
	switch failed := avoid != nil && avoid.Name == x.cookie.host; {
	case h == nil, h.State == pool.Maint, h.Leaving:
	case h.Verdict == pool.Up && !failed:
		return h, ruleCookie
	case h.Moving && !failed:
		return nil, pool.RuleMoving
	case s.Frozen && h.InRing && !h.FailedBefore:
		return nil, pool.RuleFrozen
	}
	return nil, ""
}

// keep adds to an answer what keeps the client on the host that has given it. A
// client whose cookie says so already gets none.
func (x *exchange) keep(resp *http1.Response) {
	a := x.srv.p.affinity
	if a == nil {
		return
	}
	a.shield(resp.Fields)
	t, moved := ticket{host: x.host.Name}, x.cookie == nil || x.cookie.host != x.host.Name
	if !moved {
		t = x.cookie.ticket
	}
	t, due := a.terms.renew(t, x.started)
	if !moved && !due && !x.cookie.old {
		return
	}
	value := make([]byte, 0, len(a.name)+len("=")+maxValue+len(a.attributes))
	value = append(append(value, a.name...), '=')
	value = append(a.vault.append(value, t), a.attributes...)
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
