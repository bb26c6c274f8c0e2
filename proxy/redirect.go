package proxy

import (
	"strconv"
	"strings"

	"tokenring/http1"
)

// redirect answers a request on a plain listener with its https address. A
// query that carries a key is left out: the key has crossed the network in
// clear once, and must not be written into an answer, a history or a log again.
func (x *exchange) redirect() {
	host := hostWithoutPort(string(x.req.Host))
	if host == "" || x.req.Path[0] != '/' || x.mayHoldKey(x.req.Path) {
		x.fail(fault{status: 400, end: endRefused, detail: "this address speaks https only"})
		return
	}
	if port := x.srv.l.Redirect; port != "443" {
		host += ":" + port
	}
	status := 301
	if m := string(x.req.Method); m != "GET" && m != "HEAD" {
		status = 308 // the method stays (RFC 9110 §15.4.9)
	}
	location := "https://" + host + string(x.req.Path)
	if x.req.HasQuery && !x.mayHoldKey(x.req.Query) {
		location += "?" + string(x.req.Query)
	}
	x.status, x.last = status, true
	_ = x.finish(x.answer(status, []http1.Field{field("Location", location)}, ""))
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
