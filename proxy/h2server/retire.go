package h2server

import (
	"context"
	"time"

	"tokenring/http2"
	"tokenring/proxy/clienttls"
)

// Retire tells all clients to open no more streams, and returns when each of them has been
// told, or ctx ends. Streams that are open go on, and a connection ends with the last of
// them. A client sends later requests on a new connection: net/http names the last stream
// that it serves, and ignores later ones.
func (s *Server) Retire(ctx context.Context) {
	const pause = 2 * time.Millisecond // until net/http has written GOAWAY
	ended, end := context.WithCancel(ctx)
	end()
	for ctx.Err() == nil {
		_ = s.http.Shutdown(ended) // each time, for connections that net/http didn't know before
		if s.allTold() {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// allTold reports whether all clients have been told. It tells those to which net/http
// hasn't written anything yet.
func (s *Server) allTold() bool {
	s.mu.Lock()
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	told := true
	for _, c := range conns {
		told = (c.told() || c.turnAway()) && told
	}
	return told
}

// told reports whether the client knows that this connection serves no more requests.
func (c *Conn) told() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaving || c.sent.GoAway()
}

// turnAway tells the client that this connection serves none of its requests, unless
// net/http has got the connection preface, or the connection is ending. It reports
// whether it has. From then on net/http gets no frames.
func (c *Conn) turnAway() bool {
	c.mu.Lock()
	fresh := !c.leaving && !c.guard.Begun()
	c.leaving = c.leaving || fresh
	c.mu.Unlock()
	if fresh {
		c.endWith(http2.TurnAway())
	}
	return fresh
}

// endWith writes the last frames, and closes our direction. After that the client has
// clienttls.CloseTimeout to close its own.
func (c *Conn) endWith(frames []byte) {
	_ = c.Conn.SetReadDeadline(time.Now().Add(clienttls.CloseTimeout))
	clienttls.EndWrites(c.Conn)
	if _, err := c.Conn.Write(frames); err == nil {
		_ = clienttls.CloseWrite(c.Conn)
	}
}
