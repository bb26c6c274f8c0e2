package proxy

import (
	"net"
	"time"

	"tokenring/http1"
)

// An HTTP/1.1 connection is a side of its exchanges. What it sends waits in x.out
// until the first bytes of a body join the head, so that a small answer is one
// write.

func (c *conn) body() body                 { return c.in.Body(c.x.req.Framing, c.x.req.Length) }
func (c *conn) early() bool                { return c.in.Buffered() > 0 }
func (c *conn) readWithin(d time.Duration) { c.readBy.within(d) }
func (c *conn) stopReading()               { _ = c.nc.SetReadDeadline(time.Unix(1, 0)) }

// interim appends a 1xx head (RFC 9110 §15.2).
func (c *conn) interim(resp *http1.Response) error {
	b := http1.AppendStatusLine(nil, resp.Status, resp.Reason)
	b = appendEndToEnd(b, resp.Fields)
	return c.write(append(b, "\r\n"...))
}

// head writes the head that the client gets of the final answer, and settles the
// framing of the body that goes with it.
func (c *conn) head(resp *http1.Response) {
	b := http1.AppendStatusLine(c.x.out[:0], resp.Status, resp.Reason)
	b = appendEndToEnd(b, resp.Fields)
	b = appendDate(b, resp.Fields)
	b = http1.AppendField(b, requestID, c.x.id)
	c.framing = resp.Framing
	switch {
	case resp.Framing == http1.NoBody && resp.Length >= 0: // RFC 9110 §8.6: what a GET would have got
		b = appendFraming(b, http1.Length, resp.Length)
	case resp.Framing == http1.Chunked, resp.Framing == http1.UntilClose:
		c.framing = http1.Chunked
		if c.x.req.Minor == 0 { // HTTP/1.0 knows no chunks
			c.framing = http1.UntilClose
		}
		b = appendFraming(b, c.framing, 0)
	default:
		b = appendFraming(b, c.framing, resp.Length)
	}
	if c.x.last {
		b = append(b, "Connection: close\r\n"...)
	}
	c.x.out = append(b, "\r\n"...)
}

// piece sends one piece of a body, with whatever waits before it. The bulk of a
// large body isn't copied.
func (c *conn) piece(data []byte) error {
	if c.framing != http1.Chunked && len(c.x.out) == 0 {
		return c.write(data)
	}
	c.x.out = appendPiece(c.x.out, c.framing, data)
	return c.flush()
}

func (c *conn) end(data []byte, trailers []http1.Field) error {
	c.x.out = appendEnd(appendPiece(c.x.out, c.framing, data), c.framing, trailers)
	return c.flush()
}

// flush writes what waits.
func (c *conn) flush() error {
	if len(c.x.out) == 0 {
		return nil
	}
	err := c.write(c.x.out)
	c.x.out = c.x.out[:0]
	return err
}

// write sends b to the client, within the deadline for a client that takes
// nothing.
func (c *conn) write(b []byte) error {
	c.writeBy.within(c.srv.p.cfg.Timeouts.Body)
	_, err := c.nc.Write(b)
	c.forget(err)
	return err
}

// forget has the kernel throw away, when the connection is closed, what it still
// keeps for a client that err says has taken nothing for too long. It would keep
// it for minutes, and megabytes of it.
func (c *conn) forget(err error) {
	if tc, ok := c.tcp.(*net.TCPConn); ok && timedOut(err) {
		_ = tc.SetLinger(0)
	}
}

// cut closes the connection in the middle of an answer. An end that the client
// might take for that of the body (RFC 9112 §6.3) is made to look like a fault.
func (c *conn) cut() { c.cutOff(c.framing == http1.UntilClose) }

// appendPiece appends data as a body of that framing has it.
func appendPiece(dst []byte, framing http1.Framing, data []byte) []byte {
	if framing != http1.Chunked || len(data) == 0 { // an empty chunk would be the last
		return append(dst, data...)
	}
	dst = http1.AppendChunkHeader(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// appendEnd appends what ends a body of that framing.
func appendEnd(dst []byte, framing http1.Framing, trailers []http1.Field) []byte {
	if framing != http1.Chunked {
		return dst
	}
	return http1.AppendLastChunk(dst, trailers)
}
