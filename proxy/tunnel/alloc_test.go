//go:build !race

package tunnel

import (
	"testing"
	"time"
)

// The race detector drops some of what is put into a sync.Pool, so allocations
// can't be counted under it: hence the build tag.

func TestAMessageAllocatesNothing(t *testing.T) {
	b := newBench(t)
	message, got := []byte("a keystroke"), make([]byte, 64)
	_ = b.host.SetReadDeadline(time.Now().Add(time.Minute))
	if n := testing.AllocsPerRun(1000, func() {
		_, _ = b.client.Write(message)
		for moved := b.tun.client.moved; b.tun.client.moved == moved; {
			b.events(false)
		}
		if n, err := b.host.Read(got); n != len(message) {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("a message allocates %v times", n)
	}
}
