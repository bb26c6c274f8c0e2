package clienttls

import (
	"crypto/tls"

	"tokenring/tlsterm"
)

// admitting returns cfg with limit applied to its handshakes. A handshake counts from
// the arrival of its ClientHello until the answer to it is written, so the limit bounds
// the work. A client that connects and stays silent, or stops half way, doesn't count.
func admitting(cfg *tls.Config, limit *tlsterm.HandshakeLimit) *tls.Config {
	if limit == nil {
		return cfg
	}
	cfg = cfg.Clone()
	next := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if below, ok := hello.Conn.(*Conn); ok {
			if err := below.enter(hello.Context(), limit); err != nil {
				return nil, err
			}
		}
		if next != nil {
			return next(hello)
		}
		return nil, nil
	}
	return cfg
}

// offering returns cfg. If http2 is true, HTTP/2 is the first of the protocols that it
// offers (RFC 7301).
func offering(cfg *tls.Config, http2 bool) *tls.Config {
	if !http2 {
		return cfg
	}
	cfg = cfg.Clone()
	cfg.NextProtos = append([]string{protocolHTTP2}, cfg.NextProtos...)
	return cfg
}

// withholding returns cfg with one change: a client to which HTTP/2 isn't to be offered
// gets other, which doesn't offer HTTP/2.
func withholding(cfg, other *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	next := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if next != nil {
			if chosen, err := next(hello); chosen != nil || err != nil {
				return chosen, err
			}
		}
		if below, ok := hello.Conn.(*Conn); ok && below.withhold() {
			return other, nil
		}
		return nil, nil
	}
	return cfg
}
