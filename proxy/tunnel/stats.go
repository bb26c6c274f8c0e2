package tunnel

import "time"

// A Reason says what has ended a tunnel, in the words of the access log and a metric. It is
// "" for a tunnel that hasn't ended.
type Reason string

const (
	ByClient   Reason = "client"    // the client closed it, or its connection broke
	ByHost     Reason = "host"      // the host closed it, or its connection broke
	ByTimeout  Reason = "timeout"   // it was quiet for too long
	ByMaint    Reason = "maint"     // its host is in maint
	ByDrain    Reason = "drain"     // the drain of its host has come to its deadline
	ByHostDown Reason = "host-down" // its host has been down for health.close_after
	ByMove     Reason = "moved"     // its key has moved to another host, or its host to another address
	BySplit    Reason = "split"     // its key has terminals on another host, too, and keeps that one
	ByShutdown Reason = "shutdown"  // the balancer stops
	ByOperator Reason = "operator"  // an operator has ended the session
	ByUpgrade  Reason = "upgrade"   // its generation of the process has to end
	ByFault    Reason = "fault"     // a failure of this balancer
)

// Status codes of close frames (RFC 6455 §7.4.1, and IANA's registry).
const (
	codeGoingAway      = 1001
	codeServiceRestart = 1012
)

// status returns the code and the text of the client's close frame. The code is 0 if there
// is none, because a side has ended the tunnel, or its connections can't be used. A text
// has maxReason bytes at most.
func (r Reason) status() (code uint16, text string) {
	switch r {
	case ByShutdown:
		return codeServiceRestart, "the load balancer stops; please connect again"
	case ByUpgrade:
		return codeServiceRestart, "the load balancer has been upgraded; please connect again"
	case ByMaint:
		return codeGoingAway, "the host is in maintenance"
	case ByDrain:
		return codeGoingAway, "the host is drained; please connect again"
	case ByHostDown:
		return codeGoingAway, "the host is down; please connect again"
	case ByMove:
		return codeGoingAway, "the session has moved; please connect again"
	case BySplit:
		return codeGoingAway, "the session goes on at another host; please connect again"
	case ByOperator:
		return codeGoingAway, "an operator has ended the session"
	case ByTimeout:
		return codeGoingAway, "nothing was sent for too long"
	}
	return 0, ""
}

// leavesHost reports whether the key may be on another host after the end, so that nothing may
// reach this one any more.
func (r Reason) leavesHost() bool {
	switch r {
	case ByMaint, ByDrain, ByHostDown, ByMove, BySplit:
		return true
	}
	return false
}

// Stats describe a tunnel.
type Stats struct {
	Why        Reason    // what has ended it; "" before the end
	Closed     bool      // a side has closed its direction in order
	FromClient int64     // bytes that were read from the client
	FromHost   int64     // bytes that were read from the host
	Last       time.Time // when a byte moved last, or the tunnel was opened; zero before
	Buffered   int       // bytes that wait until a side takes them, or until a TLS message is whole
}

// Stats returns the present stats.
func (t *Tunnel) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stats()
}

func (t *Tunnel) stats() Stats {
	var last time.Time
	if t.poller != nil {
		last = epoch.Add(t.last)
	}
	return Stats{
		Why: t.why, Closed: t.first != nil, Last: last,
		FromClient: t.client.moved, FromHost: t.host.moved,
		Buffered: t.client.buffered() + t.host.buffered(),
	}
}

// Quiet returns for how long no byte has moved at the time now; 0 before the tunnel is open.
func (t *Tunnel) Quiet(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.poller == nil {
		return 0
	}
	return max(0, now.Sub(epoch)-t.last)
}
