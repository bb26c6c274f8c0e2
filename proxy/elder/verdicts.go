package elder

import "sync/atomic"

// Verdicts are what the newest process says of hosts to an older one, which checks none. The zero
// value says nothing. Its methods are safe for concurrent use.
type Verdicts struct {
	down atomic.Pointer[map[string]bool]
}

// Set takes in all hosts that are down.
func (v *Verdicts) Set(down []string) {
	all := make(map[string]bool, len(down))
	for _, name := range down {
		all[name] = true
	}
	v.down.Store(&all)
}

// Down reports whether a host is down. While nothing was said, that is what is known here.
func (v *Verdicts) Down(host string, here bool) bool {
	if all := v.down.Load(); all != nil {
		return (*all)[host]
	}
	return here
}
