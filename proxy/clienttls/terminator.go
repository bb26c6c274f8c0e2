// Package clienttls terminates the TLS of clients. It limits the handshakes that are
// computed at once, chooses the protocols that are offered, and bounds writes below TLS.
package clienttls

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"tokenring/clientcert"
	"tokenring/lastwrite"
	"tokenring/proxy/deadline"
	"tokenring/tlsterm"
)

// Options say how a Terminator does handshakes.
type Options struct {
	Config         *tls.Config
	HandshakeLimit *tlsterm.HandshakeLimit // of the handshakes that are computed at once; nil for no limit
	HTTP2          bool                    // offer HTTP/2
	WriteTimeout   time.Duration           // of writes for which no other deadline is set
	Yield          func()                  // called before and after each handshake, to serve what must not wait for handshakes
}

// A Terminator does the handshakes of one listener. It is safe for concurrent use.
type Terminator struct {
	opt    Options
	config *tls.Config
}

// New returns a Terminator.
func New(o Options) *Terminator {
	t := &Terminator{opt: o, config: admitting(offering(o.Config, o.HTTP2), o.HandshakeLimit)}
	if o.HTTP2 {
		t.config = withholding(t.config, o.Config)
	}
	return t
}

// Handshake does the handshake on a client's socket. During the handshake it calls
// withhold, which reports whether HTTP/2 isn't to be offered to the client. After an error
// the caller must close the socket.
func (t *Terminator) Handshake(ctx context.Context, socket net.Conn, withhold func() bool) (*tls.Conn, error) {
	below := &Conn{Conn: lastwrite.Conn{Conn: socket}, opt: &t.opt, withhold: withhold}
	defer below.leave() // also after a panic
	conn := tls.Server(below, t.config)
	err := conn.HandshakeContext(ctx)
	below.leave()
	if err != nil {
		return nil, err
	}
	t.opt.Yield()
	below.tls, below.withhold = conn, nil // nil, so that a terminal doesn't keep what withhold refers to
	return conn, nil
}

// Agreed is what a handshake has agreed on, as far as requests need to know. The zero Agreed is of a
// connection without TLS.
type Agreed struct {
	Version     uint16                  // of TLS
	Certificate *clientcert.Certificate // that the client has shown; nil for none
}

// AgreedIn returns what is agreed in a state. The client's certificate has been verified: a session that
// is resumed has it from the handshake before.
func AgreedIn(state tls.ConnectionState) Agreed {
	a := Agreed{Version: state.Version}
	if len(state.PeerCertificates) > 0 {
		a.Certificate = clientcert.Of(state.PeerCertificates[0])
	}
	return a
}

// Subject returns the subject of the client's certificate; empty if there is none.
func (a *Agreed) Subject() []byte {
	if a.Certificate == nil {
		return nil
	}
	return a.Certificate.Subject
}

// SpeaksHTTP2 reports whether the handshake has agreed on HTTP/2.
func SpeaksHTTP2(conn *tls.Conn) bool {
	return conn.ConnectionState().NegotiatedProtocol == protocolHTTP2
}

// protocolHTTP2 is the name of HTTP/2 in a handshake (RFC 9113 §3.2).
const protocolHTTP2 = "h2"

var errNotAdmitted = errors.New("no place for the handshake in time")

// Cause returns the cause of a handshake's error as one of a few words, for the label of a
// metric.
func Cause(err error) string {
	var op *net.OpError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded), deadline.Exceeded(err):
		return "timeout"
	case errors.Is(err, errNotAdmitted):
		return "not_admitted"
	case errors.As(err, &record):
		return "not_tls"
	case errors.As(err, &op) && op.Op == "remote error": // how crypto/tls wraps a client's alert
		return "alert"
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, context.Canceled):
		return "closed"
	}
	return "refused"
}
