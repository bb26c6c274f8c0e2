package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"tokenring/problem"
)

const (
	maxStreams  = 32                     // event streams at once
	streamEvery = time.Second            // between events while nothing changes
	streamWatch = 200 * time.Millisecond // between two checks for a new snapshot
	streamWrite = 10 * time.Second       // until the client must have taken an event
)

// An overview is all that the dashboard shows, and the content of an event.
type overview struct {
	Status statusBody `json:"status"`
	Hosts  []hostBody `json:"hosts"`
	Ring   ringBody   `json:"ring"`
}

func (s *Server) overview() overview {
	snap := s.deps.Region.Snapshot()
	return overview{Status: s.status(snap), Hosts: s.hosts(snap), Ring: s.ring(s.pool(""), snap)}
}

// events sends overviews as server-sent events: at once, when the hosts change, and
// every second for the live numbers. The stream ends when the client leaves, when its
// sign-in ends or its token is replaced, and when the server ends.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		problem.Write(w, http.StatusServiceUnavailable, "too many event streams are open; try again in a moment")
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(callerOf(ctx).rights, cancel)()
	w.Header().Set("Content-Type", "text/event-stream")
	if err := s.stream(ctx, w); err != nil && ctx.Err() == nil {
		s.deps.Logger.Debug().Err(err).Msg("event stream ended")
	}
}

// stream writes events until ctx ends or the client doesn't take them.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter) error {
	out := http.NewResponseController(w)
	// The server's deadline for reading a request would end the stream. The recorders
	// of tests have no deadlines, and answer with an error.
	_ = out.SetReadDeadline(time.Time{})
	watch := time.NewTicker(streamWatch)
	defer watch.Stop()
	for {
		sent := time.Now()
		version := s.deps.Region.Snapshot().Version
		if err := s.sendOverview(w, out); err != nil {
			return err
		}
		for s.deps.Region.Snapshot().Version == version && time.Since(sent) < streamEvery {
			select {
			case <-ctx.Done():
				return nil
			case <-watch.C:
			}
		}
	}
}

func (s *Server) sendOverview(w http.ResponseWriter, out *http.ResponseController) error {
	data, err := json.Marshal(s.overview())
	if err != nil {
		return fmt.Errorf("encode an overview: %w", err)
	}
	_ = out.SetWriteDeadline(time.Now().Add(streamWrite)) // see SetReadDeadline above
	if _, err := fmt.Fprintf(w, "event: overview\ndata: %s\n\n", data); err != nil {
		return err
	}
	return out.Flush()
}
