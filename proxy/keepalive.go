package proxy

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"time"

	"tokenring/http1"
)

// A host closes a connection that has been idle for long enough, at a moment of its
// own choosing. A request that is on its way at that moment is lost. One that can be
// repeated is sent again; no other may be (RFC 9110 §9.2.2). So a connection isn't
// used that is about to be closed, by what the host says of itself (Keep-Alive), and
// one that may be isn't used for what can't be repeated, by what was seen of the host.

// trusted is the idle time up to which a host's connections are taken to be still
// open. It begins with a tenth of a second, which no server is known to go under, and
// learns: a connection that is found open shows that half its idle time is safe, one
// that is found closed that more than half isn't. It is safe for concurrent use.
type trusted struct{ nanoseconds atomic.Int64 }

func (t *trusted) init() { t.nanoseconds.Store(int64(100 * time.Millisecond)) }

func (t *trusted) idle() time.Duration { return time.Duration(t.nanoseconds.Load()) }

// open learns from a connection that is open after that idle time.
func (t *trusted) open(idle time.Duration) {
	for safe := int64(idle / 2); ; {
		now := t.nanoseconds.Load()
		if safe <= now || t.nanoseconds.CompareAndSwap(now, safe) {
			return
		}
	}
}

// closed learns from a connection that the host has closed, at that idle time or
// before.
func (t *trusted) closed(idle time.Duration) {
	for safe := int64(idle / 2); ; {
		now := t.nanoseconds.Load()
		if safe >= now || t.nanoseconds.CompareAndSwap(now, safe) {
			return
		}
	}
}

// idleLimit returns how long a connection may be idle on which the host's last answer
// had those fields, and how many requests it may carry: at most longest, and any
// number, unless Keep-Alive says less (RFC 2068 §19.7.1.1). A margin is for requests
// on their way.
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
