package admin

import (
	"context"
	"net/http"
	"time"
)

// graceTimeout is how long clients may still take answers when the server ends.
const graceTimeout = 3 * time.Second

// shutDown waits for answers in progress, and closes all connections after s.grace. It
// waits longer for the answer to a change of the generation.
// It bounds all writes, also those of TLS. Otherwise a client that reads nothing would hold
// up the shutdown for the five seconds in which crypto/tls tries to write the alert that
// closes the connection, and net/http closes one idle connection after the other.
func (s *Server) shutDown(ctx context.Context, srv *http.Server) {
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(grace) }() // it closes the listener at once
	s.awaitChange()
	s.conns.endWrites(time.Now().Add(s.grace))
	defer time.AfterFunc(s.grace, cancel).Stop()
	if err := <-ended; err != nil {
		s.deps.Logger.Warn().Err(err).Msg("admin endpoint closed with answers in progress")
		_ = srv.Close()
	}
}

// awaitChange waits until no change of the generation is under way: who asked for the change
// that ends this process gets the answer.
func (s *Server) awaitChange() {
	s.changing.Lock()
	defer s.changing.Unlock()
}
