//go:build !race

package accesslog

import "testing"

// TestHAProxysLineAllocatesNothing guards the path of every request. Under the race detector a
// sync.Pool forgets at random.
func TestHAProxysLineAllocatesNothing(t *testing.T) {
	l, out := newHAProxyLog()
	out.Grow(1 << 20)
	e := served()
	if n := testing.AllocsPerRun(100, func() { l.Write(&e, "") }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
