package http2

// A Kind is a kind of frame that costs a server work and a client nothing, and
// so has its budget (CVE-2019-9511 and those that came with it, CVE-2023-44487,
// CVE-2025-8671).
type Kind uint8

// The kinds of frames with a budget.
const (
	Reset Kind = iota
	Ping
	Settings
	Priority
	WindowUpdate
	Empty        // DATA without data, be it padded, HEADERS and CONTINUATION without a field
	Continuation // of any length
	Unknown      // frames of extensions
	Cancelled    // streams that ended before their answer did, whichever side ended them
	kinds
)

var names = [kinds]string{
	"reset", "ping", "settings", "priority", "window_update", "empty", "continuation", "unknown", "cancelled",
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

// bytesPerUpdate is how many bytes of answers earn a client one WINDOW_UPDATE.
// Some send one for the stream and one for the connection for each DATA frame,
// and frames are as small as the pieces that the host's answer comes in, a few
// kilobytes often. One that makes the frames small, by windows of a few bytes, earns
// none (CVE-2019-9511).
const bytesPerUpdate = 1 << 10

// A purse is what one client has used of its budgets.
type purse struct {
	used   [kinds]float64
	at     [kinds]float64 // in seconds, when used was right
	earned float64        // WINDOW_UPDATEs
}

// charge takes one from the budget of a kind. It returns an error if that is more
// than is left.
func (p *purse) charge(k Kind, now float64) error {
	limit := budgets[k]
	p.used[k] = max(0, p.used[k]-(now-p.at[k])*limit.rate) + 1
	p.at[k] = now
	if p.used[k] > limit.burst {
		return Flood(k)
	}
	return nil
}

// A Flood is the error of a client that has used up a budget.
type Flood Kind

func (f Flood) Error() string { return "too many frames of the kind " + Kind(f).String() }
