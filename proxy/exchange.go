package proxy

import (
	"bytes"
	"errors"
	"time"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/pool"
)

// An exchange is one request and what became of it. It is what the access log
// tells, and lives from the request's head to the end of its answer or tunnel.
type exchange struct {
	id      string
	key     []byte // a slice of the request's head; a secret
	host    *pool.Host
	rule    balancer.Rule
	retried bool
	fresh   bool // only a new connection will do: an idle one has just been found dead

	started   time.Time
	connected time.Duration // until there was a connection to the host
	answered  time.Duration // until the host's final head

	status   int
	received int64 // bytes of body or tunnel from the client
	sent     int64 // bytes of body or tunnel to the client
	end      string

	framing http1.Framing // of the answer to the client
	last    bool          // the connection ends after this exchange
	handed  bool          // a tunnel has taken the connection over
}

// How exchanges end, as the access log and a metric say it.
const (
	endDone       = "done"
	endRefused    = "refused"     // the request's form
	endNoHost     = "no-host"     // nobody could serve it
	endHostFailed = "host-failed" // the host broke its answer off, or what it sent was none
	endClientGone = "client-gone"
	endTimeout    = "timeout"
	endMaint      = "maint"    // a tunnel: its host went to maintenance
	endMoved      = "moved"    // a tunnel: its key has been given to another host
	endShutdown   = "shutdown" // a tunnel: the balancer stops
	endClient     = "client"   // a tunnel: the client closed it
	endHost       = "host"     // a tunnel: the host closed it
	endFault      = "fault"    // something that this balancer is to blame for
)

// exchange reads one request and answers it. It reports whether another one may
// follow on this connection.
func (c *conn) exchange() bool {
	c.n++
	c.x = exchange{id: c.requestID(), rule: ruleNone, started: time.Now()}
	defer c.record()
	if err := c.readRequest(); err != nil {
		return c.refuse(err)
	}
	c.x.last = c.req.Close || c.req.Minor == 0 || c.srv.stopping.Load()
	switch {
	case c.srv.l.Redirect != "":
		c.redirect()
	case c.req.WebSocket:
		c.openTunnel()
	default:
		c.forward()
	}
	return !c.x.last
}

// readRequest reads a request's head within its deadline. If that fails, nothing
// is left of the request before, whose bytes are gone.
func (c *conn) readRequest() error {
	c.req = http1.Request{Fields: c.req.Fields[:0]}
	if !bytes.Contains(c.in.Unread(), endOfHead) { // nearly always it is here already, and needs no time
		c.readBy.within(c.srv.p.cfg.Timeouts.Head)
	}
	if err := c.in.ReadRequest(&c.req); err != nil {
		return err
	}
	c.x.key = c.key()
	if id := header(c.req.Fields, "X-Request-Id"); c.client.trusted && validID(id) {
		c.x.id = string(id)
	}
	if limit := c.srv.p.cfg.Limits.Body; limit > 0 && c.req.Framing == http1.Length && c.req.Length > limit {
		return errTooLarge
	}
	return nil
}

// validID tells whether a trusted client's request id may stand in a log.
func validID(id []byte) bool {
	const long = 128
	for _, b := range id {
		if (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') && b != '-' && b != '_' {
			return false
		}
	}
	return len(id) > 0 && len(id) <= long
}

var endOfHead = []byte("\r\n\r\n")

var errTooLarge = &http1.Error{Status: 413, Reason: "the body is larger than this server takes"}

// refuse answers a request that couldn't be read. What comes after it on this
// connection can't be trusted to be a request, so it is the last.
func (c *conn) refuse(err error) bool {
	c.x.last = true
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		c.srv.p.opt.Metrics.refused.Inc()
		c.fail(fault{status: bad.Status, end: endRefused, detail: bad.Reason})
	case timedOut(err):
		c.fail(fault{status: 408, end: endTimeout, detail: "the request's head took too long"})
	default:
		c.x.end = endClientGone
	}
	return false
}

// pick chooses the host for the request: the one that the key's terminals are
// on, else the ring's. A host to avoid is one that has just failed.
func (c *conn) pick(r *routes, avoid *pool.Host) (*pool.Host, balancer.Rule) {
	if avoid == nil && len(c.x.key) > 0 {
		if name, _ := c.srv.p.sessions.host(c.x.key); name != "" {
			if h := r.snapshot.Host(name); h != nil && h.State != pool.Maint && h.Verdict != pool.Down {
				return h, ruleSession
			}
		}
	}
	choice, ok := r.snapshot.Choose(c.x.key, avoid)
	if !ok {
		return nil, choice.Rule
	}
	return choice.Host, choice.Rule
}

// Rules of our own, beside those of the balancer.
const (
	ruleSession balancer.Rule = "session" // the key has a live tunnel there
	ruleRetry   balancer.Rule = "retry"   // the first host couldn't be reached
	ruleNone    balancer.Rule = "none"
)

// reach connects to the host for the request, and to the fallback if it can't
// be reached. Nothing has been sent by then, so that is always allowed. The
// fallback is where the key will be once the host is marked down; a key with a
// live terminal has none, because its user would be on two hosts at once.
func (c *conn) reach() (*link, *upstream, error) {
	r := c.srv.p.routes.Load()
	var failed *pool.Host
	for range 2 {
		host, rule := c.pick(r, failed)
		if host == nil {
			break
		}
		if failed != nil {
			rule, c.x.retried = ruleRetry, true
			c.srv.p.opt.Metrics.retries.Inc()
		}
		c.x.host, c.x.rule = host, rule
		u := r.upstreams[host.Name]
		l, err := c.connect(u)
		if err == nil {
			c.x.connected = time.Since(c.x.started)
			return l, u, nil
		}
		c.srv.p.blame(host.Name, "connect")
		if rule == ruleSession {
			return nil, nil, errSessionHost
		}
		failed = host
	}
	if failed != nil {
		return nil, nil, errUnreachable
	}
	return nil, nil, errNoHost
}

// Why there is no connection to a host.
var (
	errNoHost      = errors.New("no host can serve the request")
	errUnreachable = errors.New("the host can't be reached")
	errSessionHost = errors.New("the host of the live session can't be reached")
)

// connect returns an idle connection to u, or a new one. A tunnel always gets a
// new one: it keeps it for hours, and can't be caught out by one that has just
// been closed.
func (c *conn) connect(u *upstream) (*link, error) {
	if !c.req.WebSocket && !c.x.fresh {
		if l := u.take(); l != nil {
			c.hold(l)
			return l, nil
		}
	}
	return c.dial(u)
}

func (c *conn) dial(u *upstream) (*link, error) {
	l, err := u.dial(c.srv.hard, c.srv.p.cfg.Timeouts.Connect)
	if err == nil {
		c.hold(l)
	}
	return l, err
}

// blame counts a failure of a host, and has it checked soon.
func (p *Proxy) blame(host, kind string) {
	p.opt.Metrics.upstreamErrors.WithLabelValues(kind).Inc()
	p.opt.Suspect(host)
}

// unreached answers a request for which reach found nothing.
func (c *conn) unreached(err error) {
	detail, status := "no host is available for this session; it is worth trying again", 503
	if errors.Is(err, errUnreachable) {
		detail, status = "the host of this session can't be reached", 502
	}
	c.fail(fault{status: status, end: endNoHost, detail: detail})
}

// write sends b to the client, within the deadline for a client that takes
// nothing.
func (c *conn) write(b []byte) error {
	c.writeBy.within(c.srv.p.cfg.Timeouts.Body)
	_, err := c.nc.Write(b)
	return err
}
