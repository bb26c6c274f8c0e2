package netaddr

import (
	"maps"
	"net/netip"
)

// MakeRoom makes room for another source in what is kept by source, of which there should be at
// most a number: it deletes those that aren't busy and were idle for long, and if these are too
// few all that aren't busy. What is busy stays, however many there are.
func MakeRoom[S any](kept map[netip.Prefix]S, most int, busy, idle func(S) bool) {
	if len(kept) >= most {
		maps.DeleteFunc(kept, func(_ netip.Prefix, s S) bool { return !busy(s) && idle(s) })
	}
	if len(kept) >= most {
		maps.DeleteFunc(kept, func(_ netip.Prefix, s S) bool { return !busy(s) })
	}
}
