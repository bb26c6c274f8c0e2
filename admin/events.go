package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	maxStreams  = 32                     // event streams at once
	streamBeat  = time.Second            // between events while nothing changes
	streamWatch = 200 * time.Millisecond // between looks whether something has
	streamWrite = 10 * time.Second       // for one event to be taken
)

// An overview is all that the dashboard shows, and the content of an event.
type overview struct {
	Status statusBody `json:"status"`
	Hosts  []hostBody `json:"hosts"`
	Ring   ringBody   `json:"ring"`
}

func (s *Server) overview() overview {
	snap := s.deps.Region.Snapshot()
	return overview{Status: s.status(snap), Hosts: hostsOf(snap), Ring: s.ring(snap)}
}

// events sends an overview as server-sent events: at once, when the hosts
// change, and every second for the live numbers. The stream ends with the
// visitor, with the visitor's session, and with the server.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, "too many event streams are open")
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if sess := visitorOf(ctx).session; sess != nil {
		defer context.AfterFunc(sess.ctx, cancel)()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if err := s.stream(ctx, w); err != nil && ctx.Err() == nil {
		s.deps.Logger.Debug().Err(err).Msg("event stream ended")
	}
}

// stream writes events until ctx ends or the visitor doesn't take them.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter) error {
	out := http.NewResponseController(w)
	// The server's deadline for reading a request would end the stream. It isn't
	// supported by the recorders of tests, which have no such deadline.
	_ = out.SetReadDeadline(time.Time{})
	watch := time.NewTicker(streamWatch)
	defer watch.Stop()
	for {
		sent := time.Now()
		version := s.deps.Region.Snapshot().Version
		if err := s.sendOverview(w, out); err != nil {
			return err
		}
		for s.deps.Region.Snapshot().Version == version && time.Since(sent) < streamBeat {
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
