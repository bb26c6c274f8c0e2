package http1

import (
	"crypto/sha1"
	"encoding/base64"
	"strconv"
)

// The Append functions don't check their arguments. A caller that passes bytes from
// elsewhere than a Reader must make sure that they are valid.

// AppendRequestLine appends "method target HTTP/1.1" and CRLF.
func AppendRequestLine(dst, method, target []byte) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...)
}

// AppendStatusLine appends a status line of HTTP/1.1. If reason is nil it writes the
// StatusText of the status; an empty reason is written as such.
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	if reason == nil {
		dst = append(dst, StatusText(status)...)
	}
	dst = append(dst, reason...)
	return append(dst, "\r\n"...)
}

// AppendField appends one field line.
func AppendField(dst []byte, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendFieldString appends one field line.
func AppendFieldString(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendChunkHeader appends the size line of a chunk of n bytes. The caller must then
// append the data and a CRLF. n must be positive: a chunk of 0 bytes ends the body.
func AppendChunkHeader(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body: the last chunk, the trailers
// without Hop, and the empty line.
func AppendLastChunk(dst []byte, trailers []Field) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range trailers {
		if !trailers[i].Hop {
			dst = AppendField(dst, trailers[i].Name, trailers[i].Value)
		}
	}
	return append(dst, "\r\n"...)
}

// AcceptKey returns the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key
// (RFC 6455 §4.2.2).
func AcceptKey(key []byte) string {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var text [64]byte
	sum := sha1.Sum(append(append(text[:0], key...), guid...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// StatusText returns the reason phrase of a status, or "" if this package has none.
func StatusText(status int) string { return statusTexts[status] }

var statusTexts = map[int]string{
	100: "Continue",
	101: "Switching Protocols",
	103: "Early Hints",
	200: "OK",
	201: "Created",
	202: "Accepted",
	204: "No Content",
	205: "Reset Content",
	206: "Partial Content",
	301: "Moved Permanently",
	302: "Found",
	303: "See Other",
	304: "Not Modified",
	307: "Temporary Redirect",
	308: "Permanent Redirect",
	400: "Bad Request",
	401: "Unauthorized",
	403: "Forbidden",
	404: "Not Found",
	405: "Method Not Allowed",
	406: "Not Acceptable",
	408: "Request Timeout",
	409: "Conflict",
	410: "Gone",
	411: "Length Required",
	412: "Precondition Failed",
	413: "Content Too Large",
	414: "URI Too Long",
	415: "Unsupported Media Type",
	416: "Range Not Satisfiable",
	417: "Expectation Failed",
	421: "Misdirected Request",
	422: "Unprocessable Content",
	426: "Upgrade Required",
	428: "Precondition Required",
	429: "Too Many Requests",
	431: "Request Header Fields Too Large",
	451: "Unavailable For Legal Reasons",
	500: "Internal Server Error",
	501: "Not Implemented",
	502: "Bad Gateway",
	503: "Service Unavailable",
	504: "Gateway Timeout",
	505: "HTTP Version Not Supported",
}
