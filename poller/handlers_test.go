package poller

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRunEndsThoughAHandlerAlwaysHasMoreToDo has a handler that always asks to be called
// again.
func TestRunEndsThoughAHandlerAlwaysHasMoreToDo(t *testing.T) {
	p, err := New(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	near, far := pair(t)
	busy := &endless{}
	if err := p.Add(near, Both, busy); err != nil {
		t.Fatal(err)
	}
	write(t, far, "x")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	wait(t, "its first turn", &busy.turns)
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		busy.enough.Store(true)
		t.Error("it doesn't end")
		<-done
	}
}

// A counter counts its calls, and reads nothing.
type counter struct{ calls atomic.Int64 }

func (c *counter) Ready(int, Event) bool { c.calls.Add(1); return false }
func (c *counter) Tick(time.Time)        {}

func TestHandlerForInputIsNotCalledWhenTheSocketIsWritable(t *testing.T) {
	p := run(t, time.Hour)
	near, far := pair(t)
	c := new(counter)
	if err := p.Add(near, Input, c); err != nil {
		t.Fatal(err)
	}
	other, _ := pair(t)
	both := new(counter)
	if err := p.Add(other, Both, both); err != nil {
		t.Fatal(err)
	}
	wait(t, "the call for room", &both.calls)
	if n := c.calls.Load(); n != 0 {
		t.Errorf("called %d times before anything came", n)
	}
	if _, err := unix.Write(far, []byte("x")); err != nil {
		t.Fatal(err)
	}
	wait(t, "the call for input", &c.calls)
}

func wait(t *testing.T, what string, calls *atomic.Int64) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); calls.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: ", what)
		}
	}
}
