package rewrite

import (
	"strconv"

	"tokenring/http1"
)

// appendFraming appends the field that tells where the body after a head ends. NoBody and
// UntilClose have no such field.
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

// AppendPiece appends a piece of a body with a framing.
func AppendPiece(dst []byte, framing http1.Framing, data []byte) []byte {
	if framing != http1.Chunked || len(data) == 0 { // an empty chunk would be the last
		return append(dst, data...)
	}
	dst = http1.AppendChunkHeader(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// AppendEnd appends the end of a body with a framing.
func AppendEnd(dst []byte, framing http1.Framing, trailers []http1.Field) []byte {
	if framing != http1.Chunked {
		return dst
	}
	return http1.AppendLastChunk(dst, trailers)
}
