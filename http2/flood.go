// Package http2 is what this balancer judges itself of HTTP/2 towards clients,
// whose frames and streams net/http serves: whether a client's frames are more
// than it can have a use for, and how a request is said in HTTP/1.1. No sockets.
package http2

// A Kind is a kind of frame that costs a server work and a client nothing, and
// so has its budget (CVE-2019-9511 and those that came with it, CVE-2023-44487,
// CVE-2025-8671).
type Kind uint8

// The kinds of frames with a budget.
const (
	None Kind = iota
	Reset
	Ping
	Settings
	Priority
	WindowUpdate
	Empty        // DATA without data, HEADERS and CONTINUATION without a field
	Continuation // of any length
	Unknown      // frames of extensions
	Cancelled    // streams that ended before their answer did, whichever side ended them
	kinds
)

var names = [kinds]string{
	"", "reset", "ping", "settings", "priority", "window_update", "empty", "continuation", "unknown", "cancelled",
}

func (k Kind) String() string { return names[k] }

// A budget is a token bucket: so many at once, and so many more each second.
type budget struct{ burst, rate float64 }

// The budgets are several times what browsers need at their worst: a page of 100
// requests left at once, a download at 1 Gbit/s with a small window.
var budgets = [kinds]budget{
	Reset:        {300, 30},
	Ping:         {60, 10},
	Settings:     {20, 1},
	Priority:     {500, 50},
	WindowUpdate: {1000, 200},
	Empty:        {100, 10},
	Continuation: {100, 10},
	Unknown:      {300, 30},
	Cancelled:    {300, 30},
}

// bytesPerUpdate is how many bytes of answers earn a client one WINDOW_UPDATE:
// it needs one for its stream and one for the connection now and then.
const bytesPerUpdate = 4 << 10

// A Meter watches what one client sends. The zero Meter awaits the connection
// preface. It isn't safe for concurrent use.
type Meter struct {
	seen    [kinds]bucket
	preface int     // bytes of the preface that have passed
	head    [9]byte // of the frame under way (RFC 9113 §4.1)
	have    int     // bytes of head
	left    int     // bytes of payload to come
	earned  float64 // WINDOW_UPDATEs
}

type bucket struct {
	used float64
	at   float64 // in seconds, when used was right
}

// prefaceLength is the length of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" (RFC 9113 §3.4).
const prefaceLength = 24

// Read takes note of bytes that have come from the client at a time, in seconds
// from any moment on. It returns the kind of frame that has come too often, or
// None.
func (m *Meter) Read(b []byte, now float64) Kind {
	if n := min(prefaceLength-m.preface, len(b)); n > 0 {
		m.preface += n
		b = b[n:]
	}
	for len(b) > 0 {
		if m.left > 0 {
			n := min(m.left, len(b))
			m.left -= n
			b = b[n:]
			continue
		}
		n := copy(m.head[m.have:], b)
		m.have += n
		b = b[n:]
		if m.have < len(m.head) {
			return None
		}
		m.have = 0
		m.left = int(m.head[0])<<16 | int(m.head[1])<<8 | int(m.head[2])
		if k := m.frame(now); k != None {
			return k
		}
	}
	return None
}

// Wrote takes note of n bytes that have gone to the client.
func (m *Meter) Wrote(n int) { m.earned += float64(n) / bytesPerUpdate }

// Frame types (RFC 9113 §6), and flags of theirs.
const (
	typeData, typeHeaders, typePriority, typeReset, typeSettings = 0, 1, 2, 3, 4
	typePing, typeGoAway, typeWindowUpdate, typeContinuation     = 6, 7, 8, 9

	flagEndStream, flagAck = 1, 1
)

// frame charges the frame whose head is complete.
func (m *Meter) frame(now float64) Kind {
	flags := m.head[4]
	switch m.head[3] {
	case typeData:
		if m.left == 0 && flags&flagEndStream == 0 {
			return m.Charge(Empty, now)
		}
	case typeHeaders:
		if m.left == 0 {
			return m.Charge(Empty, now)
		}
	case typeContinuation:
		if m.left == 0 {
			return m.Charge(Empty, now)
		}
		return m.Charge(Continuation, now)
	case typePriority:
		return m.Charge(Priority, now)
	case typeReset:
		return m.Charge(Reset, now)
	case typeSettings:
		if flags&flagAck == 0 {
			return m.Charge(Settings, now)
		}
	case typePing:
		return m.Charge(Ping, now)
	case typeWindowUpdate:
		if m.earned >= 1 {
			m.earned--
			return None
		}
		return m.Charge(WindowUpdate, now)
	case typeGoAway:
	default:
		return m.Charge(Unknown, now)
	}
	return None
}

// Charge takes one from the budget of a kind, at a time as for Read. It returns
// the kind if that is more than is left, else None.
func (m *Meter) Charge(k Kind, now float64) Kind {
	b, limit := &m.seen[k], budgets[k]
	b.used = max(0, b.used-(now-b.at)*limit.rate) + 1
	b.at = now
	if b.used > limit.burst {
		return k
	}
	return None
}
