package haproxycfg

import (
	"slices"
	"strings"
)

const whyQUIC = "lb speaks no QUIC; clients fall back to TCP"

// An offer says whether a bind line offers HTTP/2.
type offer int

const (
	unsaid offer = iota
	offered2
	refused
)

// takeProtocol reads alpn <protocols>, no-alpn and proto <name> of a bind line.
func (b *bind) takeProtocol(name, value string) {
	protocols := strings.Split(value, ",")
	h1, h2 := slices.Contains(protocols, "http/1.1") || value == "h1", slices.Contains(protocols, "h2")
	switch {
	case name == "no-alpn", h1 && !h2:
		b.http2 = refused
	case h2:
		b.http2 = offered2
	}
	if name == "alpn" && h2 && !h1 {
		b.d.note(Changed, "lb offers HTTP/1.1 beside HTTP/2: WebSockets come over it")
	}
	if name == "proto" && h2 && !slices.Contains(b.d.args(2), "ssl") {
		b.d.note(Stops, "lb takes HTTP/2 over TLS only: it refuses clients that speak HTTP/2 without TLS")
	}
}

// noteProtocols says which protocols the clients of a TLS address may choose.
func (b *bind) noteProtocols() {
	switch b.http2 {
	case refused:
		b.d.note(Took, "listen: http2: false")
	case offered2:
		b.d.note(Took, "listen: clients are offered HTTP/2, as in HAProxy")
	case unsaid:
		b.d.note(Changed, "without alpn, HAProxy before 2.8 offers only HTTP/1.1; lb offers HTTP/2 as well. Write http2: false if you don't want that")
	}
}
