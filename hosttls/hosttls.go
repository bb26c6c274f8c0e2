package hosttls

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// A Client does the handshakes with the hosts of one pool. It is safe for concurrent use. A nil
// *Client is that of a pool without TLS.
type Client struct {
	serverName string
	verifies   bool
	material   atomic.Pointer[Material]
}

// New returns a client that uses what the files of cfg hold.
func New(cfg Config, m Material) *Client {
	c := &Client{serverName: cfg.ServerName, verifies: cfg.Verifies()}
	c.Use(m)
	return c
}

// Use replaces what the files hold. Handshakes that begin later use it, and resume no session
// from before.
func (c *Client) Use(m Material) { c.material.Store(&m) }

// Verifies reports whether hosts' certificates are verified.
func (c *Client) Verifies() bool { return c.verifies }

// Peer returns a Peer for a host. The host's certificate must be for what stands before the port
// in authority, a DNS name or an IP address, unless Config.ServerName says another name. Peer
// returns nil if c is nil.
func (c *Client) Peer(authority string) *Peer {
	if c == nil {
		return nil
	}
	name, _, err := net.SplitHostPort(authority)
	if err != nil {
		name = authority
	}
	return &Peer{client: c, name: cmp.Or(c.serverName, name)}
}

// A Peer does the handshakes with one host, and keeps the sessions to resume. It is safe for
// concurrent use.
type Peer struct {
	client *Client
	name   string

	mu     sync.Mutex
	made   *Material   // from which config was made
	config *tls.Config // shared by all connections, because each keeps it
}

// sessions is how many sessions a Peer keeps to resume. All have the same key, so one is
// enough.
const sessions = 1

func (p *Peer) configNow() *tls.Config {
	m := p.client.material.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made != m {
		p.made = m
		p.config = &tls.Config{
			ServerName: p.name, RootCAs: m.roots, Certificates: m.certificates,
			InsecureSkipVerify: !p.client.verifies,
			NextProtos:         []string{"http/1.1"}, // a host must not choose HTTP/2
			ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
			MinVersion:         tls.VersionTLS12,
		}
	}
	return p.config
}

// An Error says why a handshake with a host has failed. Its text is one of a few, and has no
// bytes of the host.
type Error struct {
	text  string
	cause error
}

// Error implements error.
func (e *Error) Error() string { return e.text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Handshake does the handshake on a socket to the host, until ctx ends. An error is an *Error;
// the caller must then close the socket.
func (p *Peer) Handshake(ctx context.Context, socket net.Conn) (*tls.Conn, error) {
	tc := tls.Client(&Conn{Conn: socket}, p.configNow())
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, &Error{text: explain(err), cause: err}
	}
	return tc, nil
}

// explain returns why a handshake has failed, as one of a few texts.
func explain(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &unknown):
		return "the host's certificate comes from an authority that isn't trusted"
	case errors.As(err, &name):
		return "the host's certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the host's certificate has expired, or isn't valid yet"
	case errors.As(err, &invalid):
		return "the host's certificate isn't valid"
	case errors.As(err, &record):
		return "the host doesn't speak TLS"
	case isAlert(err, &op):
		return "the host refuses the TLS handshake: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return "the TLS handshake with the host has failed"
}

// isAlert reports whether err is an alert of the other side, and sets op to it.
func isAlert(err error, op **net.OpError) bool {
	return errors.As(err, op) && (*op).Op == "remote error" // how crypto/tls wraps it
}

// Failed reports whether err comes from TLS with a host: from its handshake, or an alert that the
// host sends later. In TLS 1.3 it refuses our certificate so.
func Failed(err error) bool {
	var handshake *Error
	var op *net.OpError
	return errors.As(err, &handshake) || isAlert(err, &op)
}
