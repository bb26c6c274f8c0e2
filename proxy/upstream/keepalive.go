package upstream

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"time"

	"tokenring/http1"
)

// A host may close an idle connection at any moment, and a request that is sent at that
// moment is lost. A repeatable request is sent again; any other must not be (RFC 9110
// §9.2.2). So a connection isn't used when, by its Keep-Alive field, the host is about to
// close it. And a request that isn't repeatable is sent only on a connection that has
// been idle for SafeIdle at most.

// SafeIdle estimates for how long a host keeps idle connections open. It begins with a
// tenth of a second, because no server is known to close them earlier. A connection that
// is found open raises it to half of the connection's idle time. A connection that is
// found closed lowers it to half of that time. It is safe for concurrent use.
type SafeIdle struct{ nanoseconds atomic.Int64 }

func (s *SafeIdle) init() { s.nanoseconds.Store(int64(100 * time.Millisecond)) }

// Duration returns the estimate.
func (s *SafeIdle) Duration() time.Duration { return time.Duration(s.nanoseconds.Load()) }

// Open raises the estimate for a connection that was found open after an idle time.
func (s *SafeIdle) Open(idle time.Duration) {
	for safe := int64(idle / 2); ; {
		now := s.nanoseconds.Load()
		if safe <= now || s.nanoseconds.CompareAndSwap(now, safe) {
			return
		}
	}
}

// Closed lowers the estimate for a connection that was found closed after an idle time.
func (s *SafeIdle) Closed(idle time.Duration) {
	for safe := int64(idle / 2); ; {
		now := s.nanoseconds.Load()
		if safe >= now || s.nanoseconds.CompareAndSwap(now, safe) {
			return
		}
	}
}

// idleLimit returns how long a connection may be idle and how many requests it may carry,
// by the Keep-Alive field of the host's last answer (RFC 2068 §19.7.1.1). The idle time
// is longest at most. A margin is subtracted for requests on their way to the host.
func idleLimit(fields []http1.Field, longest time.Duration) (idle time.Duration, requests int) {
	const margin, any = time.Second, 1 << 30
	idle, requests = longest, any
	for i := range fields {
		if fields[i].Kind != http1.KindKeepAlive {
			continue
		}
		for item := range bytes.SplitSeq(fields[i].Value, []byte(",")) {
			name, value, _ := bytes.Cut(bytes.TrimSpace(item), []byte("="))
			n, err := strconv.ParseUint(string(value), 10, 30)
			switch {
			case err != nil: // not for us
			case bytes.EqualFold(name, []byte("timeout")):
				says := time.Duration(n) * time.Second
				idle = min(idle, says-min(margin, says/2))
			case bytes.EqualFold(name, []byte("max")):
				requests = min(requests, int(n))
			}
		}
	}
	return idle, requests
}
