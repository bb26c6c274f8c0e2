package rewrite

import (
	"tokenring/http1"
	"tokenring/proxy/fields"
)

// A Response is the input for the head of a final answer to a client of HTTP/1.
type Response struct {
	*http1.Response        // as the host sent it
	ID              []byte // of the request
	ClientMinor     int    // of the client's HTTP version: 0 or 1
	ClientClose     bool   // the client's connection ends with this answer

	Change *fields.Program // what lb.yaml changes; nil for nothing
	Vars   fields.Vars     // for Change
}

// Append appends the head. It also returns the framing that the body must have.
func (r *Response) Append(dst []byte) ([]byte, http1.Framing) {
	dst = http1.AppendStatusLine(dst, r.Status, r.Reason)
	dst = r.Change.Append(appendEndToEnd(dst, r.Fields, r.Change), &r.Vars)
	dst = appendDate(dst, r.Fields)
	dst = http1.AppendField(dst, requestID, r.ID)
	framing := r.Framing
	switch {
	case framing == http1.NoBody && r.Length >= 0: // the length of the answer to a GET (RFC 9110 §8.6)
		dst = appendFraming(dst, http1.Length, r.Length)
	case framing == http1.Chunked, framing == http1.UntilClose:
		framing = http1.Chunked
		if r.ClientMinor == 0 { // HTTP/1.0 knows no chunks
			framing = http1.UntilClose
		}
		dst = appendFraming(dst, framing, 0)
	default:
		dst = appendFraming(dst, framing, r.Length)
	}
	if r.ClientClose {
		dst = append(dst, "Connection: close\r\n"...)
	}
	return append(dst, "\r\n"...), framing
}

// AppendInterim appends the head of a 1xx (RFC 9110 §15.2) other than 101.
func AppendInterim(dst []byte, resp *http1.Response) []byte {
	dst = http1.AppendStatusLine(dst, resp.Status, resp.Reason)
	dst = appendEndToEnd(dst, resp.Fields, nil)
	return append(dst, "\r\n"...)
}

// AppendUpgrade appends the head of a 101, such as that to a WebSocket handshake (RFC 6455
// §4.2.2). id is that of the request.
func AppendUpgrade(dst []byte, resp *http1.Response, id []byte, change *fields.Program, vars *fields.Vars) []byte {
	dst = http1.AppendStatusLine(dst, 101, nil)
	dst = appendUpgrade(dst, resp.Upgrade)
	dst = change.Append(appendEndToEnd(dst, resp.Fields, change), vars)
	dst = http1.AppendField(dst, requestID, id)
	return append(dst, "\r\n"...)
}

// appendUpgrade appends the fields that say to which protocol the connection changes (RFC 9110 §7.8).
func appendUpgrade(dst, protocol []byte) []byte {
	dst = append(dst, "Connection: Upgrade\r\n"...)
	return http1.AppendField(dst, []byte("Upgrade"), protocol)
}

// EndToEnd reports whether a field of an answer is sent to the client as it came.
func EndToEnd(f *http1.Field) bool {
	switch f.Kind {
	case http1.KindContentLength, http1.KindTransferEncoding, http1.KindXRequestID:
		return false
	}
	return !f.Hop
}

// appendEndToEnd appends those fields of an answer that are sent to the client as they came.
func appendEndToEnd(dst []byte, all []http1.Field, change *fields.Program) []byte {
	for i := range all {
		if f := &all[i]; EndToEnd(f) && (change == nil || !change.Hides(f.Name)) {
			dst = http1.AppendField(dst, f.Name, f.Value)
		}
	}
	return dst
}
