package localreply

import (
	"strconv"
	"strings"

	"tokenring/http1"
	"tokenring/proxy/hashkey"
)

// A Redirect sends the clients of a listener without TLS to https.
type Redirect struct {
	Port    string        // of https
	KeepKey bool          // addresses repeat the parameters that hold the key
	Keys    hashkey.Rules // where requests have their key
}

// Answer returns the status of the redirect and the value of its Location field. ok is
// false for a request that has no https address, or has a path that may hold the key.
//
// Unless KeepKey is set, the Location lacks the key. The key has crossed the network
// unencrypted once, and must not get into an answer, a browser's history or a log.
// Answer needs the request's key, which is empty if it has none.
func (t *Redirect) Answer(r *http1.Request, key []byte) (status int, location string, ok bool) {
	host := hostWithoutPort(string(r.Host))
	if host == "" || r.Path[0] != '/' || !t.KeepKey && t.Keys.MayHold(r.Path, key) {
		return 0, "", false
	}
	if t.Port != "443" {
		host += ":" + t.Port
	}
	query, keyed := t.Keys.Strip(r.Query, key)
	if t.KeepKey {
		query = r.Query
	}
	location = "https://" + host + string(r.Path)
	if len(query) > 0 || r.HasQuery && !keyed {
		location += "?" + string(query)
	}
	return statusOf(string(r.Method), keyed), location, true
}

// statusOf returns the status of a redirect. A redirect of a request with a key is
// temporary and keeps the method (307, RFC 9110 §15.4.8), so that no browser stores it.
// Any other is permanent. Of the permanent statuses only 308 keeps the method (RFC 9110
// §15.4.9).
func statusOf(method string, keyed bool) int {
	switch {
	case keyed:
		return 307
	case method == "GET" || method == "HEAD":
		return 301
	}
	return 308
}

// hostWithoutPort returns the value of a Host field without its port.
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
