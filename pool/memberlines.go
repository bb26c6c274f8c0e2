package pool

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// logLines turns memberlist's log lines into zerolog's. A stranger who knocks is a
// warning with his address, rarely; memberlist's other warnings and errors are
// warnings at a bounded rate, and all else is debug lines. What the roster has
// logged already, and what comes while we are leaving, is debug too.
type logLines struct {
	log    zerolog.Logger
	calls  context.Context // over once we are leaving
	quiet  *rate.Limiter
	knocks repeats // by source and reason
}

func newQuiet() *rate.Limiter { return rate.NewLimiter(rate.Every(5*time.Second), 5) }

// Write takes one line of memberlist's.
func (l *logLines) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	level, message, ok := strings.Cut(text, "] ")
	if !ok {
		level, message = "", text
	}
	message = strings.ToValidUTF8(strings.TrimPrefix(message, "memberlist: "), "?")
	bad := (level == "[WARN" || level == "[ERR") && l.calls.Err() == nil && !told(message)
	if from, why, ok := knock(message); bad && ok {
		l.stranger(from, why, time.Now())
		bad = false
	}
	event := l.log.Debug()
	if bad && l.quiet.Allow() {
		event = l.log.Warn()
	}
	event.Str("detail", message).Msg("memberlist")
	return len(line), nil
}

// stranger logs that somebody knocks who doesn't belong to this pool.
func (l *logLines) stranger(from netip.Addr, why string, now time.Time) {
	if f, tell := l.knocks.again(source(from)+" "+why, now); tell {
		f.on(l.log.Warn()).Stringer("from", from).Str("why", why).Msg("somebody who isn't of this pool knocks: is that a host or balancer whose secret or label is wrong?")
	}
}

// source returns what one source of knocks is: an address, of IPv6 the /64 that one
// machine has to itself.
func source(from netip.Addr) string {
	if from.Is6() {
		if prefix, err := from.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return from.String()
}

// knock returns the address from which somebody has sent what memberlist refuses
// because of the secret or the label, and which of these is another; false if message
// is about something else.
func knock(message string) (from netip.Addr, why string, ok bool) {
	switch {
	case strings.Contains(message, "unacceptable label"):
		why = "it has another label"
	case strings.Contains(message, "could decrypt"), strings.HasPrefix(message, "Decrypt packet failed"):
		why = "it has another secret"
	case strings.Contains(message, "remote state is not encrypted"):
		why = "it has no secret"
	default:
		return netip.Addr{}, "", false
	}
	i := strings.LastIndex(message, "from=")
	if i < 0 {
		return netip.Addr{}, "", false
	}
	at, err := netip.ParseAddrPort(message[i+len("from="):])
	return at.Addr().Unmap().WithZone(""), why, err == nil
}

// told reports whether the roster logs what message says.
func told(message string) bool {
	return strings.HasPrefix(message, "ignoring alive message") || strings.HasPrefix(message, "Conflicting address")
}
