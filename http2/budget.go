package http2

// A Kind is a kind of frame that costs a server work and a client nothing, and that
// therefore has a budget (CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2025-8671).
type Kind uint8

// The kinds of frames with a budget.
const (
	Reset Kind = iota
	Ping
	Settings
	Priority
	WindowUpdate
	Empty        // DATA without data, padded or not; HEADERS and CONTINUATION without a field
	Continuation // of any length
	Unknown      // frames of extensions
	Cancelled    // streams that client or server ended before the end of the response
	kinds
)

var names = [kinds]string{
	"reset", "ping", "settings", "priority", "window_update", "empty", "continuation", "unknown", "cancelled",
}

func (k Kind) String() string { return names[k] }

// A budget is a token bucket: burst frames at once, and rate more each second.
type budget struct{ burst, rate float64 }

// The budgets are several times the most that browsers need: when a user leaves a page
// with 100 requests, or downloads at 1 Gbit/s with a small window.
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

// bytesPerUpdate is the number of response bytes for which a client may send one more
// WINDOW_UPDATE. Some clients send two for each DATA frame, for the stream and for the
// connection, and frames are as small as the host's writes, often a few kilobytes. A
// client that causes small frames by windows of a few bytes can't send more
// (CVE-2019-9511).
const bytesPerUpdate = 1 << 10

// A usage holds how much one client has used of its budgets.
type usage struct {
	used   [kinds]float64
	at     [kinds]float64 // the time of used, in seconds
	earned float64        // WINDOW_UPDATEs beyond the budget, see bytesPerUpdate
}

// charge counts one frame of kind k. It returns a Flood if that exceeds the budget.
func (u *usage) charge(k Kind, now float64) error {
	limit := budgets[k]
	u.used[k] = max(0, u.used[k]-(now-u.at[k])*limit.rate) + 1
	u.at[k] = now
	if u.used[k] > limit.burst {
		return Flood(k)
	}
	return nil
}

// A Flood is the error for a client that has exceeded a budget.
type Flood Kind

func (f Flood) Error() string { return "too many frames of the kind " + Kind(f).String() }
