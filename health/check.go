package health

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"tokenring/hosttls"
	"tokenring/netaddr"
	"tokenring/proxy/proxyheader"
	"tokenring/route"
)

// maxAnswer is the largest number of bytes, head and body, that a check reads of a
// response.
const maxAnswer = 64 << 10

// A result is the outcome of one check.
type result struct {
	err   string // "" when the host passed
	local bool   // this machine lacked a resource; the result says nothing about the host

	gate error // why the host's gate has refused the check; nil if it hasn't

	refused bool // the host's machine is there, and refuses the connection: nothing serves there
}

var errNotHTTP = errors.New("not an HTTP answer")

// check checks t within the configured timeout. g is what is known of its gate. If the gate
// wants its new challenge repeated, check does so at once. When it returns, its connections
// are closed and no goroutine is left.
func (m *Monitor) check(ctx context.Context, t Target, g *gate) result {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	r := m.checkOnce(ctx, t, g)
	if isWorthAgain(r.gate) {
		r = m.checkOnce(ctx, t, g)
	}
	return r
}

// checkOnce checks t on one connection.
func (m *Monitor) checkOnce(ctx context.Context, t Target, g *gate) result {
	conn, err := m.connect(ctx, t)
	if err != nil {
		return m.explain(err)
	}
	defer conn.Close()
	path := m.cfg.CheckPath()
	if path == "" {
		return result{}
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	req, err := m.cfg.newRequest(path, cmp.Or(m.cfg.Host, t.Host, route.Authority(t.Address)), m.prove(t.Name, *g))
	if err != nil {
		return m.explain(err)
	}
	got, refused, err := m.exchange(conn, req, g)
	switch {
	case err != nil:
		return m.explain(err)
	case refused != nil:
		return result{err: gateText(refused), gate: refused}
	}
	return m.judge(got)
}

// connect opens a connection to t, with what it is to begin with.
func (m *Monitor) connect(ctx context.Context, t Target) (net.Conn, error) {
	network, at := netaddr.Dialled(t.Address)
	if host, _, err := net.SplitHostPort(at); err == nil && network == "tcp" && m.cfg.Port != 0 {
		at = net.JoinHostPort(host, strconv.Itoa(m.cfg.Port))
	}
	conn, err := m.dial(ctx, network, at)
	if err == nil && m.sendsProxy {
		if _, err = conn.Write(proxyheader.Ends{}.Append(nil)); err != nil { // a new socket has room for it
			conn.Close()
			return nil, err
		}
	}
	if err != nil || m.tls == nil {
		return conn, err
	}
	tc, err := m.peer(t).Handshake(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return tc, nil
}

// peer returns the one who does the handshakes with t, which keeps a session to resume.
func (m *Monitor) peer(t Target) *hosttls.Peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[t]
	if p == nil {
		p = m.tls.Peer(cmp.Or(t.Host, route.Authority(t.Address)))
		m.peers[t] = p
	}
	return p
}

// A reply is what counts of the answer to a check.
type reply struct {
	status int
	text   bool // the body has Expect.Text
}

// judge returns the result of a check with an answer.
func (m *Monitor) judge(a reply) result {
	switch {
	case !m.expected.have(a.status):
		return result{err: "status " + strconv.Itoa(a.status)}
	case !a.text:
		return result{err: "the answer lacks the expected text"}
	}
	return result{}
}

// exchange sends a request on conn and returns what counts of the final response, and why the
// host's gate has refused it. It also reads the rest of the response, up to maxAnswer, because
// closing a socket with unread data would reset the host's connection. g takes in what the gate
// says.
func (m *Monitor) exchange(conn net.Conn, req *http.Request, g *gate) (a reply, refused, err error) {
	if err := req.Write(conn); err != nil {
		return a, nil, err
	}
	answer := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	g.seen = false
	for {
		resp, err := http.ReadResponse(answer, req)
		if err != nil {
			return a, nil, badAnswer(err)
		}
		refused = g.note(resp)
		if isInterim(resp.StatusCode) {
			continue
		}
		defer resp.Body.Close()
		seen := body{text: []byte(m.cfg.Expect.Text)}
		seen.readAll(resp.Body)
		return reply{resp.StatusCode, seen.found}, refused, nil
	}
}

// isInterim reports whether another response follows (RFC 9110 §15.2).
func isInterim(status int) bool {
	return status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols
}

// badAnswer returns err if it is an error of the network, and otherwise errNotHTTP:
// the text of a parser's error would quote bytes of the host.
func badAnswer(err error) error {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return errNotHTTP
}

// explain returns the result for an error. Its texts are for operators: few and
// constant, so that they can be compared, counted and shown.
func (m *Monitor) explain(err error) result {
	var network net.Error
	var name *net.DNSError
	var handshake *hosttls.Error
	switch {
	case isLocalShortage(err):
		return result{err: "out of local sockets or files", local: true}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return result{err: timeoutText(m.cfg.Timeout)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return result{err: "connection refused", refused: true}
	case errors.Is(err, syscall.ENOENT):
		return result{err: "there is no such socket", refused: true}
	case errors.As(err, &handshake):
		return result{err: handshake.Error()}
	case hosttls.Failed(err): // in TLS 1.3 a host refuses a certificate after the handshake
		return result{err: "the host refuses the connection over TLS"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return result{err: "connection reset"}
	case errors.Is(err, syscall.EHOSTUNREACH):
		return result{err: "no route to host"}
	case errors.Is(err, syscall.ENETUNREACH):
		return result{err: "network is unreachable"}
	case errors.As(err, &name):
		return result{err: "name doesn't resolve"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return result{err: "closed without an answer"}
	case errors.Is(err, errNotHTTP):
		return result{err: "not an HTTP answer"}
	}
	return result{err: "can't be reached"}
}

// isLocalShortage reports whether a check failed because this machine lacks sockets,
// files or memory. The checks of all hosts would then fail, although the hosts are well.
func isLocalShortage(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (m *Monitor) count(r result) {
	if r.err == "" {
		m.ok.Add(1)
	} else {
		m.failed.Add(1)
	}
}
