package http1

// Kind names the few fields that a proxy treats specially.
type Kind uint8

// The kinds of fields. KindOther is every field that isn't named here.
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
	KindXForwardedOther // X-Forwarded-Port and the like
	KindForwarded
	KindXRealIP
	KindXRequestID
	KindCookie
	KindSetCookie
	KindAuthorization
	KindAccept
	KindDate
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

// A trait is what is known of a field by its name alone. No field with a
// trait is taken from a trailer section: each of them frames, routes,
// authenticates or describes the message as a whole (RFC 9110 §6.5.1).
type trait struct {
	name string // in lower case
	kind Kind
	// hop fields end at the next hop. All others with a trait are end-to-end:
	// Connection may not name them away (RFC 9110 §7.6.1), for a client could
	// strip what the host, or we ourselves, rely on.
	hop bool
}

// traits lists the fields by the length of their name.
var traits = byLength([]trait{
	{"connection", KindConnection, true},
	{"http2-settings", KindHTTP2Settings, true},
	{"keep-alive", KindKeepAlive, true},
	{"proxy-authenticate", KindProxyAuth, true},
	{"proxy-authorization", KindProxyAuth, true},
	{"proxy-connection", KindProxyConnection, true},
	{"te", KindTE, true},
	{"transfer-encoding", KindTransferEncoding, true},
	{"upgrade", KindUpgrade, true},

	{"accept", KindAccept, false},
	{"authorization", KindAuthorization, false},
	{"cache-control", KindOther, false},
	{"content-length", KindContentLength, false},
	{"content-type", KindContentType, false},
	{"cookie", KindCookie, false},
	{"date", KindDate, false},
	{"expect", KindExpect, false},
	{"forwarded", KindForwarded, false},
	{"host", KindHost, false},
	{"if-match", KindOther, false},
	{"if-modified-since", KindOther, false},
	{"if-none-match", KindOther, false},
	{"if-range", KindOther, false},
	{"if-unmodified-since", KindOther, false},
	{"location", KindLocation, false},
	{"max-forwards", KindOther, false},
	{"origin", KindOrigin, false},
	{"range", KindOther, false},
	{"sec-websocket-accept", KindSecWebSocketAccept, false},
	{"sec-websocket-key", KindSecWebSocketKey, false},
	{"sec-websocket-version", KindSecWebSocketVersion, false},
	{"server", KindServer, false},
	{"set-cookie", KindSetCookie, false},
	{"trailer", KindTrailer, false},
	{"user-agent", KindUserAgent, false},
	{"vary", KindOther, false},
	{"via", KindOther, false},
	{"www-authenticate", KindOther, false},
	{"x-forwarded-for", KindXForwardedFor, false},
	{"x-forwarded-host", KindXForwardedHost, false},
	{"x-forwarded-proto", KindXForwardedProto, false},
	{"x-real-ip", KindXRealIP, false},
	{"x-request-id", KindXRequestID, false},
})

// families are the traits of fields known by the beginning of their name.
var families = []trait{
	{"content-", KindOther, false},
	{"sec-websocket-", KindSecWebSocketOther, false},
	{"x-forwarded-", KindXForwardedOther, false},
}

func byLength(all []trait) [][]trait {
	var table [][]trait
	for _, t := range all {
		for len(table) <= len(t.name) {
			table = append(table, nil)
		}
		table[len(t.name)] = append(table[len(t.name)], t)
	}
	return table
}

// lookUp returns the trait of a field name, or nil.
func lookUp(name []byte) *trait {
	if len(name) < len(traits) {
		same := traits[len(name)]
		for i := range same {
			if EqualFold(name, same[i].name) {
				return &same[i]
			}
		}
	}
	for i := range families {
		f := &families[i]
		if len(name) > len(f.name) && EqualFold(name[:len(f.name)], f.name) {
			return f
		}
	}
	return nil
}
