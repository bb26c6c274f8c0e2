package gossip

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// A logWriter turns memberlist's log lines into zerolog's. Its warnings and errors are
// warnings at a bounded rate, and all else is debug lines. What the list of members has
// logged already, and what comes while we are leaving, is debug too.
type logWriter struct {
	log   zerolog.Logger
	calls context.Context // over once we are leaving
	limit *rate.Limiter
}

func newLogWriter(calls context.Context, log zerolog.Logger) *logWriter {
	return &logWriter{log: log, calls: calls, limit: rate.NewLimiter(rate.Every(5*time.Second), 5)}
}

// Write takes one line of memberlist's.
func (w *logWriter) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	level, message, ok := strings.Cut(text, "] ")
	if !ok {
		level, message = "", text
	}
	message = strings.ToValidUTF8(strings.TrimPrefix(message, "memberlist: "), "?")
	bad := (level == "[WARN" || level == "[ERR") && w.calls.Err() == nil && !logged(message)
	event := w.log.Debug()
	if bad && w.limit.Allow() {
		event = w.log.Warn()
	}
	event.Str("detail", message).Msg("memberlist")
	return len(line), nil
}

// logged reports whether the list of members logs what message says.
func logged(message string) bool {
	return strings.HasPrefix(message, "ignoring alive message") || strings.HasPrefix(message, "Conflicting address")
}
