package limit

import "testing"

func TestIdleConnectionsGiveWayToThoseOfClients(t *testing.T) {
	c := NewConnections(3)
	idle := NewIdle(c)
	c.Add()
	for i, want := range []bool{true, true, false} {
		if got := idle.Add(); got != want {
			t.Errorf("connection %d: got %t, want %t", i+1, got, want)
		}
	}
	if idle.Count() != 2 || idle.Exceeded() {
		t.Errorf("%d are idle, too many: %t", idle.Count(), idle.Exceeded())
	}
	c.Add()
	if !idle.Exceeded() {
		t.Error("a client came, and there are not too many")
	}
	idle.Remove(1)
	if idle.Exceeded() {
		t.Error("one was closed, and there are still too many")
	}
	for range 5 { // beyond the limit
		c.Add()
	}
	idle.Remove(1)
	if idle.Exceeded() || idle.Add() {
		t.Error("none is idle, but there are too many, or another one is allowed")
	}
	var none *Idle
	if !none.Add() {
		t.Error("a nil Idle has a bound")
	}
	none.Remove(1)
}
