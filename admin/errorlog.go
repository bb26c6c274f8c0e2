package admin

import (
	"strings"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// An errorLog takes what net/http says of connections, such as a handshake that has
// failed. Anybody can cause that, so that only some of it is logged.
type errorLog struct {
	log   zerolog.Logger
	lines *rate.Limiter
}

func newErrorLog(log zerolog.Logger) errorLog {
	return errorLog{log, rate.NewLimiter(rate.Every(logEvery), logBurst)}
}

// Write implements io.Writer for log.Logger, which hands over a line at a time.
func (l errorLog) Write(line []byte) (int, error) {
	if l.lines.Allow() {
		l.log.Warn().Str("error", strings.TrimSpace(string(line))).Msg("connection to the admin endpoint failed")
	}
	return len(line), nil
}
