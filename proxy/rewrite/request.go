// Package rewrite writes the heads of messages to hosts and clients. A head is what the
// other side has sent, without the fields that are for this balancer only, and with the
// fields that it adds. The package parses nothing and opens nothing.
package rewrite

import (
	"slices"
	"strings"

	"tokenring/http1"
	"tokenring/proxy/fields"
)

// A Request is the input for the head of a request to a host.
type Request struct {
	*http1.Request          // as the client sent it
	ID             []byte   // of the request
	Client         string   // the client's address
	Trusted        bool     // the client is in a trusted network: its X-Forwarded-* fields are kept
	TLS            bool     // the client uses TLS
	Authority      string   // the Host field for a request that has none
	HiddenCookie   string   // the name of a cookie that isn't sent to hosts; "" for none
	Untrusted      []string // the names of fields that aren't sent unless the client is trusted

	Change *fields.Program // what lb.yaml changes; nil for nothing
	Vars   fields.Vars     // for Change, and for the port of the listener
}

// Append appends the head of the request to the host: the fields of the client without those
// that are for the balancer only, and fields that describe the client.
func (r *Request) Append(dst []byte) []byte {
	dst = r.appendTarget(dst)
	var buf [128]byte
	if host, ok := r.Change.Host(buf[:0], &r.Vars); ok {
		dst = http1.AppendField(dst, []byte("Host"), host)
	} else if len(r.Host) > 0 {
		dst = http1.AppendField(dst, []byte("Host"), r.Host)
	} else { // the client speaks HTTP/1.0; HTTP/1.1, which we send, needs the field
		dst = http1.AppendFieldString(dst, "Host", r.Authority)
	}
	for i := range r.Fields {
		switch f := &r.Fields[i]; {
		case f.Hop || !r.forwards(f.Kind) || r.Change != nil && r.Change.Hides(f.Name):
		case len(r.Untrusted) > 0 && !r.Trusted && isOneOf(f.Name, r.Untrusted):
		case f.Kind == http1.KindCookie && r.HiddenCookie != "":
			dst = appendOtherCookies(dst, f, r.HiddenCookie)
		default:
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	dst = r.Change.Append(r.appendForwarded(dst), &r.Vars)
	if !r.WebSocket {
		dst = appendFraming(dst, r.Framing, r.Length)
	}
	if len(r.Upgrade) > 0 {
		dst = appendUpgrade(dst, r.Upgrade)
	}
	return append(dst, "\r\n"...)
}

func isOneOf(name []byte, all []string) bool {
	return slices.ContainsFunc(all, func(n string) bool { return len(n) == len(name) && strings.EqualFold(n, string(name)) })
}

var requestID = []byte("X-Request-Id")

// appendTarget appends the request line. The target is in origin-form or asterisk-form (RFC
// 9112 §3.2.1, §3.2.4), whatever form the client has used. The query stays raw.
func (r *Request) appendTarget(dst []byte) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Path...)
	if r.HasQuery {
		dst = append(dst, '?')
		dst = append(dst, r.Query...)
	}
	return append(dst, " HTTP/1.1\r\n"...)
}

// forwards reports whether a request field of a kind is sent to the host as it came.
func (r *Request) forwards(k http1.Kind) bool {
	switch k {
	case http1.KindHost, http1.KindContentLength, http1.KindTransferEncoding,
		http1.KindXForwardedFor, http1.KindXRequestID:
		return false
	case http1.KindExpect: // ignored without a body, and in HTTP/1.0 (RFC 9110 §10.1.1)
		return r.Expect100
	case http1.KindXForwardedProto, http1.KindXForwardedHost, http1.KindXForwardedPort, http1.KindXForwardedOther,
		http1.KindForwarded, http1.KindXRealIP:
		return r.Trusted
	}
	return true
}

// appendForwarded appends the X-Forwarded-* fields and the request's id. It keeps the values
// that a client in a trusted network has sent, and adds that client's address. It leaves out what
// Change sets or removes.
func (r *Request) appendForwarded(dst []byte) []byte {
	if !r.hides("X-Forwarded-For") {
		dst = r.appendForwardedFor(dst)
	}
	if !r.passed(http1.KindXForwardedProto) && !r.hides("X-Forwarded-Proto") {
		proto := "http"
		if r.TLS {
			proto = "https"
		}
		dst = http1.AppendFieldString(dst, "X-Forwarded-Proto", proto)
	}
	if len(r.Host) > 0 && !r.passed(http1.KindXForwardedHost) && !r.hides("X-Forwarded-Host") { // HTTP/1.0 may come without one
		dst = http1.AppendField(dst, []byte("X-Forwarded-Host"), r.Host)
	}
	if r.Vars.ListenerPort != "" && !r.passed(http1.KindXForwardedPort) && !r.hides("X-Forwarded-Port") {
		dst = http1.AppendFieldString(dst, "X-Forwarded-Port", r.Vars.ListenerPort)
	}
	return http1.AppendField(dst, requestID, r.ID)
}

func (r *Request) appendForwardedFor(dst []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	if r.Trusted {
		for i := range r.Fields {
			if f := &r.Fields[i]; f.Kind == http1.KindXForwardedFor && !f.Hop && len(f.Value) > 0 {
				dst = append(append(dst, f.Value...), ", "...)
			}
		}
	}
	return append(append(dst, r.Client...), "\r\n"...)
}

// hides reports whether Change sets or removes a field.
func (r *Request) hides(name string) bool { return r.Change != nil && r.Change.Hides([]byte(name)) }

// passed reports whether the client is trusted and has sent a field of a kind.
func (r *Request) passed(k http1.Kind) bool {
	if !r.Trusted {
		return false
	}
	for i := range r.Fields {
		if r.Fields[i].Kind == k {
			return true
		}
	}
	return false
}
