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
