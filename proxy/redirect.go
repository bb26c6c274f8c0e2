package proxy

import (
	"bytes"
	"strconv"
	"strings"

	"tokenring/balancer"
	"tokenring/http1"
)

// redirect answers a request on a plain listener with its https address. The key
// is left out: it has crossed the network in clear once, and must not be written
// into an answer, a history or a log again. Listener.RedirectKey keeps it.
func (x *exchange) redirect() {
	keep := x.srv.l.RedirectKey
	host := hostWithoutPort(string(x.req.Host))
	if host == "" || x.req.Path[0] != '/' || !keep && x.mayHoldKey(x.req.Path) {
		x.fail(fault{status: 400, end: endRefused, detail: "this address speaks https only"})
		return
	}
	if port := x.srv.l.Redirect; port != "443" {
		host += ":" + port
	}
	query, keyed := x.withoutKey(x.req.Query)
	if keep {
		query = x.req.Query
	}
	location := "https://" + host + string(x.req.Path)
	if len(query) > 0 || x.req.HasQuery && !keyed {
		location += "?" + string(query)
	}
	status := x.redirectStatus(keyed)
	x.status, x.last = status, true
	_ = x.finish(x.answer(status, []http1.Field{field("Location", location)}, ""))
}

// redirectStatus returns the status of a redirect. One whose request has the key
// is temporary, so that no browser stores it under the key or instead of other
// requests, and keeps the method (307, RFC 9110 §15.4.8). The others are
// permanent; only 308 keeps the method (RFC 9110 §15.4.9).
func (x *exchange) redirectStatus(keyed bool) int {
	switch method := string(x.req.Method); {
	case keyed:
		return 307
	case method == "GET" || method == "HEAD":
		return 301
	}
	return 308
}

// withoutKey returns the query without the parameters that hold the key, and
// whether there are any. The others stay as they are, byte for byte.
func (x *exchange) withoutKey(query []byte) (rest []byte, keyed bool) {
	var kept [][]byte
	for parameter := range bytes.SplitSeq(query, ampersand) {
		if x.holdsKey(parameter) {
			keyed = true
			continue
		}
		kept = append(kept, parameter)
	}
	if !keyed {
		return query, false
	}
	return bytes.Join(kept, ampersand), true
}

var ampersand = []byte{'&'}

// holdsKey tells whether a parameter, as it is or decoded, is the key's, or has the
// key's or the key itself in its value. A key that is as short as other values are
// is found by the name of its parameter only.
func (x *exchange) holdsKey(parameter []byte) bool {
	const long = 8
	for range 4 { // nobody encodes more often by mistake
		if len(x.key) >= long && bytes.Contains(parameter, x.key) {
			return true
		}
		for _, rule := range x.srv.p.cfg.Key {
			if rule.Source == balancer.KeyQuery && names(parameter, rule.Name) {
				return true
			}
		}
		decoded := unescaped(parameter)
		if bytes.Equal(decoded, parameter) {
			return false
		}
		parameter = decoded
	}
	return true
}

// names tells whether name, in any case, stands in part as a whole name with "="
// behind it.
func names(part []byte, name string) bool {
	for i := 0; i+len(name) < len(part); i++ {
		if part[i+len(name)] == '=' && bytes.EqualFold(part[i:i+len(name)], []byte(name)) && (i == 0 || !inName(part[i-1])) {
			return true
		}
	}
	return false
}

// inName tells whether c may be a part of a longer name: whether it is unreserved
// (RFC 3986 §2.3).
func inName(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("-._~", c) >= 0
}

// unescaped decodes the escapes of b (RFC 3986 §2.1). What looks like one and is
// none stays as it is.
func unescaped(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			if c, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8); err == nil {
				out = append(out, byte(c))
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

// hostWithoutPort cuts the port off a Host field's value.
func hostWithoutPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") {
		return host
	}
	if _, err := strconv.ParseUint(host[i+1:], 10, 16); err != nil && host[i+1:] != "" {
		return host
	}
	return host[:i]
}
