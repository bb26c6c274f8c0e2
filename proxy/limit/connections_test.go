package limit

import (
	"context"
	"testing"
)

// TestAllListenersWaitForOneLimit: each that waits goes on when there is a place, and
// none does before.
func TestAllListenersWaitForOneLimit(t *testing.T) {
	c := NewConnections(2)
	c.Wait(t.Context(), func() { t.Error("it is full from the start") })
	c.Add()
	c.Add()
	full, on := make(chan bool, 3), make(chan bool, 3)
	for range 3 {
		go func() {
			c.Wait(t.Context(), func() { full <- true })
			on <- true
		}()
	}
	for range 3 {
		<-full
	}
	if len(on) > 0 {
		t.Error("somebody goes on without a place")
	}
	c.Remove()
	for range 3 {
		<-on
	}
	c.Add()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Wait(ctx, func() {})
}
