package routing

import (
	"net/url"
	"strings"

	"tokenring/http1"
	"tokenring/proxy/hashkey"
)

// Location returns where a redirect sends a request. keyed says that the request has its key in
// its query: then no cache may keep the answer. ok is false for a request with a path that may
// hold the key, or without a path: it is not to be redirected.
//
// If the path and the query of the request are repeated, they lack the key unless KeepKey is set:
// the key must not get to another server, into a browser's history or a log.
func (c *RedirectConfig) Location(r *http1.Request, key []byte, keys hashkey.Rules) (location string, keyed, ok bool) {
	query, keyed := keys.Strip(r.Query, key)
	if !c.Repeats() {
		return c.To, keyed, true
	}
	if r.Path[0] != '/' || !c.KeepKey && keys.MayHold(r.Path, key) {
		return "", false, false
	}
	if c.KeepKey {
		query = r.Query
	}
	location = c.To + string(r.Path)
	if len(query) > 0 || r.HasQuery && !keyed {
		location += "?" + string(query)
	}
	return location, keyed, true
}

// Repeats reports whether the path and the query of the request follow To: it ends with its host.
func (c *RedirectConfig) Repeats() bool {
	_, rest, _ := strings.Cut(c.To, "://")
	return !strings.ContainsAny(rest, "/?#")
}

// CheckRedirect returns why to is no place to redirect to, "" if it is one.
func CheckRedirect(to string) string {
	u, err := url.Parse(to)
	switch {
	case to == "":
		return "the redirect has no place to go to"
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil:
		return "this is no URL of http or https"
	case strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`"<>\`, c) }):
		return "a URL has no spaces, quotes or letters beyond ASCII"
	}
	return ""
}
