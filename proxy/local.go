package proxy

import (
	"cmp"
	"net/netip"
	"time"

	"tokenring/http1"
	"tokenring/proxy/access"
	"tokenring/proxy/accesslog"
	"tokenring/proxy/fields"
	"tokenring/proxy/hashkey"
	"tokenring/proxy/localreply"
	"tokenring/proxy/metrics"
	"tokenring/proxy/pools"
	"tokenring/proxy/proxyheader"
	"tokenring/proxy/quota"
	"tokenring/proxy/routing"
)

// This file has what comes between the head of a request and its host: what is found out of the
// head, and what the balancer answers itself.

// admit sets what the exchange needs to know of the request's head: its route, token, key,
// affinity cookie and id. It returns errTooLarge if the body is longer than allowed, and
// errReadings if the path can be read as that of another route.
func (x *exchange) admit() error {
	p := x.srv.p
	matched, clear := p.routing.Match(x.req.Host, x.req.Path, x.req.Method)
	x.matched = matched
	if matched != nil {
		x.pool = p.targets[matched.Index]
	}
	unsent := x.keepUpgrade()
	x.findOrigin()
	x.token, x.keyRule = x.pool.Key.Find(&x.req, &hashkey.Client{Address: x.origin.key, Trusted: x.client.trusted, Certificate: x.client.agreed.Certificate})
	x.key = x.pool.KeyOf(x.pool.Snapshot(), x.token)
	x.cookie = x.pool.Affinity.Find(x.req.Fields, x.started)
	if id := http1.FieldValue(x.req.Fields, "X-Request-Id"); x.client.trusted && validID(id) {
		x.id = id
	}
	if !clear {
		return errReadings
	}
	p.routing.Count(matched)
	if limit := p.cfg.Limits.Body; limit > 0 && x.req.Framing == http1.Length && x.req.Length > limit {
		return errTooLarge
	}
	return unsent
}

// findOrigin sets the client that has made the request: that of the connection or, if it lies in a
// trusted network, the one for which it has sent the request. The port of such a client isn't known.
func (x *exchange) findOrigin() {
	if !x.client.trusted {
		return
	}
	addr := access.Behind(x.client.addr, x.req.Fields, x.srv.p.cfg.trusts)
	if addr == x.client.addr {
		return
	}
	if x.told == nil || x.told.addr != addr {
		told := newAddress(addr, 0)
		x.told = &told
	}
	x.origin = x.told
}

// proxy returns the address of the trusted proxy that has sent the request for its client, "" if
// the client has sent it itself.
func (x *exchange) proxy() string {
	if x.origin == &x.client.address {
		return ""
	}
	return x.client.text
}

// ends returns whose connection this is for hosts that are told by the PROXY protocol, nothing for
// others.
func (x *exchange) ends() proxyheader.Ends {
	if !x.pool.SendProxy {
		return proxyheader.Ends{}
	}
	return proxyheader.Ends{Client: netip.AddrPortFrom(x.origin.addr, x.origin.port), Server: x.client.server}
}

// keepUpgrade forgets the protocol that the client offers to change to, unless the pool takes it. It
// returns errUpgradeBody for a request that would also have a body.
func (x *exchange) keepUpgrade() error {
	switch {
	case len(x.req.Upgrade) == 0:
	case !x.pool.Upgrades.Allow(x.req.Upgrade):
		x.req.Upgrade, x.req.WebSocket = nil, false
	case x.req.HasBody():
		return errUpgradeBody
	}
	return nil
}

var errUpgradeBody = &http1.Error{Status: 400, Reason: "a request with a body that changes to another protocol"}

// validID reports whether the request id of a trusted client may be written to a log.
func validID(id []byte) bool {
	const long = 128
	for _, b := range id {
		if (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') && b != '-' && b != '_' {
			return false
		}
	}
	return len(id) > 0 && len(id) <= long
}

// answersHere answers a request that no host is to see, and reports whether it has. It is called
// when the head was read and admitted, for HTTP/1.1 and HTTP/2 alike, before a host is picked.
// Each step is at most a nil check where nothing is configured. The steps, in their order:
//
//	access                   of the listener, for clients behind a trusted proxy; of the route
//	limits                   of the client's source, of the key
//	redirect to https        of the listener, but for routes of ACME's challenges
//	maintenance              of all, of the route
//	password                 of the route
//	redirect or respond      of the route
//
// A step that answers a request with a body must see that the connection ends, as fail does:
// nobody has read the body.
func (x *exchange) answersHere() bool {
	switch {
	case x.refusesAccess():
	case x.overRequests():
	case x.srv.l.Redirect != "" && !x.matched.TakesChallenges():
		x.redirect()
	case x.inMaintenance():
		x.fail(endMaintenance, maintenancePage)
	case x.matched == nil:
		return x.answersUnmatched()
	case x.matched.Users != nil && x.refusesPassword(x.matched.Users):
	case x.matched.Redirect != nil:
		x.redirectTo(x.matched.Redirect)
	case x.matched.Respond != nil:
		x.respond(x.matched.Respond)
	default:
		return false
	}
	return true
}

// maintenancePage is the page for requests of what operators have put into maintenance.
var maintenancePage = localreply.Page{Status: 503, Detail: "this service is down for maintenance", Kind: localreply.Maintenance, RetryAfter: 30}

// inMaintenance reports whether all requests, or those of the request's route, are in
// maintenance. A process that has retired doesn't know: it passes the request on to one that does.
func (x *exchange) inMaintenance() bool {
	p := x.srv.p
	route := ""
	if x.matched != nil {
		route = x.matched.Label
	}
	return p.opt.Maintenance.On(route) && !p.retired()
}

// plan returns what lb.yaml changes in the request's fields and in those of its answer.
func (x *exchange) plan() *fields.Plan {
	if x.srv.plans == nil {
		return nil
	}
	way := 0
	if x.matched != nil {
		way = x.matched.Index + 1
	}
	return x.srv.plans[way]
}

// fieldVars returns the values of the variables that such changes may have.
func (x *exchange) fieldVars() fields.Vars {
	v := fields.Vars{Client: x.origin.text, ClientPort: x.origin.port, Host: x.req.Host, RequestID: x.id, ListenerPort: x.srv.port, CertificateSubject: x.client.agreed.Subject()}
	if x.client.secure {
		v.TLSVersion = fields.TLSVersion(x.client.agreed.Version)
	}
	return v
}

// mayCome reports whether the listener takes connections of the client. One that a trusted proxy
// has made is taken: each of its requests is judged by its own client.
func (c *conn) mayCome() bool {
	if c.client.trusted || takes(c.srv.l.Access, c.client.addr) {
		return true
	}
	c.srv.p.opt.Metrics.Connections.NotAllowed.WithLabelValues(metrics.NotAllowedConnection).Inc()
	return false
}

func takes(all []*access.Rules, addr netip.Addr) bool {
	for _, r := range all {
		if !r.Allows(addr) {
			return false
		}
	}
	return true
}

// notAllowed is the page for a request from where none is taken.
var notAllowed = localreply.Page{Status: 403, Detail: "requests from your address aren't taken here"}

// refusesAccess answers a request whose client may not come here. It reports whether it has.
func (x *exchange) refusesAccess() bool {
	route := x.matched != nil && x.matched.Rules != nil
	told := x.client.trusted && len(x.srv.l.Access) > 0
	if !route && !told {
		return false
	}
	addr := x.origin.addr
	if (!told || takes(x.srv.l.Access, addr)) && (!route || x.matched.Rules.Allows(addr)) {
		return false
	}
	x.srv.p.opt.Metrics.Connections.NotAllowed.WithLabelValues(metrics.NotAllowedRequest).Inc()
	x.fail(endNotAllowed, notAllowed)
	return true
}

// quotaAddr returns the address of which limits.per_source judges a request: not valid for a trusted
// proxy that tells no client, which may stand for many.
func (x *exchange) quotaAddr() netip.Addr {
	if x.client.trusted && x.srv.p.cfg.trusts(x.origin.addr) {
		return netip.Addr{}
	}
	return x.origin.addr
}

// overQuota reports whether the client has used up what it may of new or open connections. Otherwise the
// connection counts. One that a trusted proxy has made doesn't: its requests do.
func (c *conn) overQuota() bool {
	if c.srv.p.cfg.Quotas == nil || c.client.trusted {
		return false
	}
	refusal := c.srv.p.cfg.Quotas.Connect(c, c.client.addr, time.Now())
	if refusal.Refused() {
		c.srv.p.opt.Metrics.Connections.Limited(refusal.Limit)
	}
	return refusal.Refused()
}

// passed counts the connection, which an older process has let in.
func (c *conn) passed() {
	if !c.client.trusted {
		c.srv.p.cfg.Quotas.Passed(c, c.client.addr, time.Now())
	}
}

// overRequests answers a request that comes too early after others of its source or key. It reports
// whether it has. Otherwise the request counts.
func (x *exchange) overRequests() bool {
	q := x.srv.p.cfg.Quotas
	return q != nil && x.overQuota(q.Request(x.quotaAddr(), x.key.Digest, x.started))
}

// overTerminals is overRequests for a handshake, whose source or key may have too many terminals.
func (x *exchange) overTerminals() bool {
	p := x.srv.p
	if p.cfg.Quotas == nil {
		return false
	}
	_, open := p.sessions.Host(x.key.Digest)
	return x.overQuota(p.cfg.Quotas.Open(x, x.quotaAddr(), x.key.Digest, open, x.started))
}

// overQuota answers a request with a refusal, unless that is none. It reports whether it has.
func (x *exchange) overQuota(r quota.Refusal) bool {
	if !r.Refused() {
		return false
	}
	x.srv.p.opt.Metrics.Connections.Limited(r.Limit)
	x.fail(endLimited, localreply.Page{Status: 429, Detail: r.Limit.Detail(), RetryAfter: r.Seconds()})
	return true
}

// answersUnmatched answers a request that no route matches, if no pool is to serve it. It reports
// whether it has.
func (x *exchange) answersUnmatched() bool {
	p := x.srv.p
	if p.routing == nil || p.cfg.Unmatched == 0 {
		return false
	}
	x.fail(endDone, localreply.Page{Status: p.cfg.Unmatched, Detail: "this server has nothing at this address"})
	return true
}

// redirectTo answers with the redirect of a route. No cache may keep one of a request with a key.
func (x *exchange) redirectTo(to *routing.RedirectConfig) {
	location, keyed, ok := to.Location(&x.req, x.token, x.srv.p.access.Keys)
	if !ok {
		x.fail(endRefused, localreply.Page{Status: 400, Detail: "this address can't be redirected: the key of a request belongs into its query"})
		return
	}
	fields := []http1.Field{{Name: []byte("Location"), Value: []byte(location)}}
	if keyed {
		fields = append(fields, http1.Field{Name: []byte("Cache-Control"), Value: []byte("no-store")})
	}
	x.reply(to.Code(), fields, "")
}

// respond answers as a route says.
func (x *exchange) respond(as *routing.RespondConfig) {
	switch {
	case as.File != "":
		x.reply(as.Code(), []http1.Field{{Name: []byte("Content-Type"), Value: []byte(as.ContentType())}}, as.Body)
	case as.Code() >= 400:
		x.fail(endDone, localreply.Page{Status: as.Code(), Detail: "this server is configured to answer so"})
	default:
		x.reply(as.Code(), nil, "")
	}
}

// reply gives a whole answer that is no error. If the request has a body, which hasn't been read,
// the connection ends with it.
func (x *exchange) reply(status int, fields []http1.Field, body string) {
	x.status, x.last = status, x.last || x.req.HasBody()
	_ = x.finish(x.answer(status, fields, body))
}

// fail answers with a page, and sets how the exchange ended. If the request has a body,
// which hasn't been read, the connection ends with the answer.
func (x *exchange) fail(end string, p localreply.Page) {
	x.status, x.end, x.reason = p.Status, end, p.Detail
	if end == endRefused || end == endTimeout || x.req.HasBody() || x.changesProtocol() {
		x.last = true
	}
	fields, body := x.srv.p.pages.Answer(p, &x.req, x.id)
	x.settle()
	if x.answer(p.Status, fields, body) != nil {
		x.last = true
	}
}

// answer sends an answer that this balancer gives itself.
func (x *exchange) answer(status int, fields []http1.Field, body string) error {
	resp := http1.Response{Status: status, Minor: 1, Fields: fields, Framing: http1.Length, Length: int64(len(body))}
	switch {
	case status == 204 || status == 304: // no body, and no length of one (RFC 9110 §8.6)
		resp.Framing, resp.Length = http1.NoBody, -1
	case string(x.req.Method) == "HEAD":
		resp.Framing, body = http1.NoBody, ""
	}
	x.sent += int64(len(body))
	x.downstream.head(&resp)
	return x.downstream.end([]byte(body), nil)
}

// answerMaxForwards answers a request whose Max-Forwards is 0, instead of a host (RFC 9110
// §7.6.2).
func (x *exchange) answerMaxForwards() {
	if string(x.req.Method) == "TRACE" {
		x.fail(endDone, localreply.Page{Status: 501, Detail: "this server doesn't send requests back"})
		return
	}
	x.reply(200, nil, "")
}

// redirect answers a request on a listener without TLS with a redirect to https.
func (x *exchange) redirect() {
	l := &x.srv.l
	reply := localreply.Redirect{Port: l.Redirect, KeepKey: l.RedirectKey, Keys: x.srv.p.access.Keys}
	status, location, ok := reply.Answer(&x.req, x.token)
	if !ok {
		x.fail(endRefused, localreply.Page{Status: 400, Detail: "this address speaks https only"})
		return
	}
	x.status, x.last = status, true
	_ = x.finish(x.answer(status, []http1.Field{{Name: []byte("Location"), Value: []byte(location)}}, ""))
}

// more returns what the access log tells beyond its usual fields, nil for nothing.
func (x *exchange) more() *accesslog.More {
	log, proxy := &x.srv.p.access, x.proxy()
	if !log.WantsMore() && proxy == "" && x.queue.Waited() == 0 {
		return nil
	}
	m := x.srv.more(x.origin.port, x.pool)
	m.Proxy, m.Queued = proxy, x.queue.Waited()
	if x.matched != nil {
		m.Route = x.matched.Label
	}
	if x.end != endRefused {
		log.DescribeMore(m, &x.req, x.token)
	}
	return m
}

// more returns what the access log tells of requests in a pool, from a client's port, beyond its usual
// fields.
func (s *server) more(port uint16, pool *pools.Pool) *accesslog.More {
	return &accesslog.More{ClientPort: port, Listener: s.l.Address, Pool: cmp.Or(pool.Name, routing.MainPool)}
}
