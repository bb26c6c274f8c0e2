package http1

import "bytes"

// Kind identifies the few fields that a proxy treats specially.
type Kind uint8

// The kinds of fields. All other fields have KindOther.
const (
	KindOther Kind = iota
	KindHost
	KindContentLength
	KindTransferEncoding
	KindConnection
	KindKeepAlive
	KindUpgrade
	KindTE
	KindTrailer
	KindProxyConnection
	KindProxyAuth // Proxy-Authenticate and Proxy-Authorization
	KindHTTP2Settings
	KindExpect
	KindXForwardedFor
	KindXForwardedProto
	KindXForwardedHost
	KindXForwardedPort
	KindXForwardedOther // X-Forwarded-Server and the like
	KindForwarded
	KindXRealIP
	KindXRequestID
	KindCookie
	KindSetCookie
	KindAuthorization
	KindAccept
	KindDate
	KindMaxForwards
	KindServer
	KindOrigin
	KindUserAgent
	KindLocation
	KindContentType
	KindSecWebSocketKey
	KindSecWebSocketAccept
	KindSecWebSocketVersion
	KindSecWebSocketOther // Sec-WebSocket-Protocol and -Extensions
)

// A trait holds the properties of a field that follow from its name. Known fields in a
// trailer section are ignored: each of them frames, routes, authenticates or describes
// the whole message (RFC 9110 §6.5.1).
type trait struct {
	name string // in lower case
	kind Kind
	// hop fields are hop-by-hop. All other known fields are end-to-end: they are
	// forwarded even if Connection names them (RFC 9110 §7.6.1). Otherwise a client
	// could remove fields on which the host or this proxy relies.
	hop bool

	known bool // false in the trait of any other field
}

// traits lists the fields by the length of their name.
var traits = byLength([]trait{
	{name: "connection", kind: KindConnection, hop: true},
	{name: "http2-settings", kind: KindHTTP2Settings, hop: true},
	{name: "keep-alive", kind: KindKeepAlive, hop: true},
	{name: "lb-lease", kind: KindOther, hop: true}, // between balancers and the gates of hosts: see package lease
	{name: "proxy", kind: KindOther, hop: true},    // not a field in use, but CGI turns it into a setting (CVE-2016-5385)
	{name: "proxy-authenticate", kind: KindProxyAuth, hop: true},
	{name: "proxy-authorization", kind: KindProxyAuth, hop: true},
	{name: "proxy-connection", kind: KindProxyConnection, hop: true},
	{name: "te", kind: KindTE, hop: true},
	{name: "transfer-encoding", kind: KindTransferEncoding, hop: true},
	{name: "upgrade", kind: KindUpgrade, hop: true},

	{name: "accept", kind: KindAccept},
	{name: "accept-encoding", kind: KindOther},
	{name: "accept-language", kind: KindOther},
	{name: "age", kind: KindOther},
	{name: "authorization", kind: KindAuthorization},
	{name: "cache-control", kind: KindOther},
	{name: "content-length", kind: KindContentLength},
	{name: "content-type", kind: KindContentType},
	{name: "cookie", kind: KindCookie},
	{name: "date", kind: KindDate},
	{name: "expect", kind: KindExpect},
	{name: "expires", kind: KindOther},
	{name: "forwarded", kind: KindForwarded},
	{name: "from", kind: KindOther},
	{name: "host", kind: KindHost},
	{name: "idempotency-key", kind: KindOther},
	{name: "if-match", kind: KindOther},
	{name: "if-modified-since", kind: KindOther},
	{name: "if-none-match", kind: KindOther},
	{name: "if-range", kind: KindOther},
	{name: "if-unmodified-since", kind: KindOther},
	{name: "location", kind: KindLocation},
	{name: "max-forwards", kind: KindMaxForwards},
	{name: "origin", kind: KindOrigin},
	{name: "pragma", kind: KindOther},
	{name: "prefer", kind: KindOther},
	{name: "range", kind: KindOther},
	{name: "referer", kind: KindOther},
	{name: "retry-after", kind: KindOther},
	{name: "sec-websocket-accept", kind: KindSecWebSocketAccept},
	{name: "sec-websocket-key", kind: KindSecWebSocketKey},
	{name: "sec-websocket-version", kind: KindSecWebSocketVersion},
	{name: "server", kind: KindServer},
	{name: "set-cookie", kind: KindSetCookie},
	{name: "trailer", kind: KindTrailer},
	{name: "user-agent", kind: KindUserAgent},
	{name: "vary", kind: KindOther},
	{name: "via", kind: KindOther},
	{name: "warning", kind: KindOther},
	{name: "www-authenticate", kind: KindOther},
	{name: "x-csrf-token", kind: KindOther},
	{name: "x-forwarded-for", kind: KindXForwardedFor},
	{name: "x-forwarded-host", kind: KindXForwardedHost},
	{name: "x-forwarded-port", kind: KindXForwardedPort},
	{name: "x-forwarded-proto", kind: KindXForwardedProto},
	{name: "x-real-ip", kind: KindXRealIP},
	{name: "x-request-id", kind: KindXRequestID},
})

// prefixes are the traits of fields that are known by the beginning of their name.
var prefixes = []trait{
	{name: "access-control-", kind: KindOther, known: true},
	{name: "content-", kind: KindOther, known: true},
	{name: "sec-fetch-", kind: KindOther, known: true},
	{name: "sec-websocket-", kind: KindSecWebSocketOther, known: true},
	{name: "x-forwarded-", kind: KindXForwardedOther, known: true},
}

var unknown trait

// lookalike is the trait of a name that differs from a known name only by underscores
// or dots in place of hyphens. A host that turns fields into variables, as CGI does,
// can't distinguish the two, so the field isn't forwarded.
var lookalike = trait{hop: true, known: true}

// maxLookalike is more than the length of any known name.
const maxLookalike = 64

func byLength(all []trait) [][]trait {
	var table [][]trait
	for _, t := range all {
		t.known = true
		for len(table) <= len(t.name) {
			table = append(table, nil)
		}
		table[len(t.name)] = append(table[len(t.name)], t)
	}
	return table
}

// MayTrail reports whether a field of this name is allowed in a trailer section.
func MayTrail(name []byte) bool { return !lookUp(name).known }

// lookUp returns the trait of a field name, never nil.
func lookUp(name []byte) *trait {
	if len(name) < len(traits) {
		same := traits[len(name)]
		for i := range same {
			if EqualFold(name, same[i].name) {
				return &same[i]
			}
		}
	}
	for i := range prefixes {
		f := &prefixes[i]
		if len(name) > len(f.name) && EqualFold(name[:len(f.name)], f.name) {
			return f
		}
	}
	if (bytes.IndexByte(name, '_') >= 0 || bytes.IndexByte(name, '.') >= 0) && looksKnown(name) {
		return &lookalike
	}
	return &unknown
}

// looksKnown reports whether name is known once hyphens replace its underscores and
// dots.
func looksKnown(name []byte) bool {
	var hyphened [maxLookalike]byte
	n := copy(hyphened[:], name)
	for i, c := range hyphened[:n] {
		if c == '_' || c == '.' {
			hyphened[i] = '-'
		}
	}
	return lookUp(hyphened[:n]).known
}
