package proxy

import (
	"strconv"

	"tokenring/http1"
)

// appendRequest appends the head that the host gets: what the client sent,
// written anew, without what was meant for us alone, and with what the host
// needs to know of the client.
func (x *exchange) appendRequest(dst []byte) []byte {
	r := &x.req
	dst = x.appendTarget(dst)
	if len(r.Host) > 0 {
		dst = http1.AppendField(dst, []byte("Host"), r.Host)
	} else { // HTTP/1.0 may come without one, but what we send is HTTP/1.1
		dst = http1.AppendFieldString(dst, "Host", x.host.Authority())
	}
	hidden := x.srv.p.affinity.hidden()
	for i := range r.Fields {
		switch f := &r.Fields[i]; {
		case f.Hop || !x.forwards(f.Kind):
		case f.Kind == http1.KindCookie && hidden != "":
			dst = appendOthers(dst, f, hidden)
		default:
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	dst = x.appendForwarded(dst)
	if r.WebSocket {
		return append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"...)
	}
	dst = appendFraming(dst, r.Framing, r.Length)
	return append(dst, "\r\n"...)
}

var requestID = []byte("X-Request-Id")

// appendTarget writes the request line in origin-form or asterisk-form (RFC
// 9112 §3.2.1, §3.2.4), whatever form it came in. The query stays raw.
func (x *exchange) appendTarget(dst []byte) []byte {
	r := &x.req
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Path...)
	if r.HasQuery {
		dst = append(dst, '?')
		dst = append(dst, r.Query...)
	}
	return append(dst, " HTTP/1.1\r\n"...)
}

// forwards tells whether a request field of that kind is passed on as it came.
// The others are written by us, from what they mean.
func (x *exchange) forwards(k http1.Kind) bool {
	switch k {
	case http1.KindHost, http1.KindContentLength, http1.KindTransferEncoding,
		http1.KindXForwardedFor, http1.KindXRequestID:
		return false
	case http1.KindExpect: // whoever has no body doesn't wait, nor does who speaks HTTP/1.0 (RFC 9110 §10.1.1)
		return x.req.Expect100
	case http1.KindXForwardedProto, http1.KindXForwardedHost, http1.KindXForwardedOther,
		http1.KindForwarded, http1.KindXRealIP:
		return x.client.trusted
	}
	return true
}

// appendForwarded says who the client is and what it asked for. What a client
// in a trusted network said of that is kept, and its address added.
func (x *exchange) appendForwarded(dst []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	if x.client.trusted {
		for i := range x.req.Fields {
			if f := &x.req.Fields[i]; f.Kind == http1.KindXForwardedFor && !f.Hop && len(f.Value) > 0 {
				dst = append(append(dst, f.Value...), ", "...)
			}
		}
	}
	dst = append(append(dst, x.client.text...), "\r\n"...)
	if !x.passed(http1.KindXForwardedProto) {
		proto := "http"
		if x.srv.l.TLS != nil {
			proto = "https"
		}
		dst = http1.AppendFieldString(dst, "X-Forwarded-Proto", proto)
	}
	if len(x.req.Host) > 0 && !x.passed(http1.KindXForwardedHost) { // HTTP/1.0 may come without one
		dst = http1.AppendField(dst, []byte("X-Forwarded-Host"), x.req.Host)
	}
	return http1.AppendField(dst, requestID, x.id)
}

// passed tells whether a field of that kind was passed on from a trusted client.
func (x *exchange) passed(k http1.Kind) bool {
	if !x.client.trusted {
		return false
	}
	for i := range x.req.Fields {
		if x.req.Fields[i].Kind == k {
			return true
		}
	}
	return false
}

// appendFraming says how long the body of a request is. NoBody needs no word.
func appendFraming(dst []byte, f http1.Framing, length int64) []byte {
	switch f {
	case http1.Length:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		return append(dst, "\r\n"...)
	case http1.Chunked:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return dst
}

// appendEndToEnd appends the response fields that are for the client.
func appendEndToEnd(dst []byte, fields []http1.Field) []byte {
	for i := range fields {
		f := &fields[i]
		switch f.Kind {
		case http1.KindContentLength, http1.KindTransferEncoding, http1.KindXRequestID:
			continue
		}
		if !f.Hop {
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	return dst
}
