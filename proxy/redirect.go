package proxy

import (
	"strconv"
	"strings"

	"tokenring/http1"
)

// redirect answers a request on a plain listener with its https address. A
// query that carries a key is left out: the key has crossed the network in
// clear once, and must not be written into an answer, a history or a log again.
func (c *conn) redirect() {
	host := hostWithoutPort(string(c.req.Host))
	if host == "" || c.req.Path[0] != '/' || c.mayHoldKey(c.req.Path) {
		c.fail(fault{status: 400, end: endRefused, detail: "this address speaks https only"})
		return
	}
	if port := c.srv.l.Redirect; port != "443" {
		host += ":" + port
	}
	status := 301
	if m := string(c.req.Method); m != "GET" && m != "HEAD" {
		status = 308 // the method stays (RFC 9110 §15.4.9)
	}
	b := http1.AppendStatusLine(c.out[:0], status, nil)
	b = append(append(append(b, "Location: https://"...), host...), c.req.Path...)
	if c.req.HasQuery && !c.mayHoldKey(c.req.Query) {
		b = append(append(b, '?'), c.req.Query...)
	}
	b = append(b, "\r\nContent-Length: 0\r\nConnection: close\r\n"...)
	b = http1.AppendFieldString(b, "X-Request-Id", c.x.id)
	c.out = append(b, "\r\n"...)
	c.x.status, c.x.last = status, true
	_ = c.finish(c.toClient(c.out))
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
