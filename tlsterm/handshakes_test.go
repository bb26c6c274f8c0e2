package tlsterm

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHandshakesAreLimitedAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewHandshakeLimit(2)
		var mu sync.Mutex // guards the next two lines
		var order []int
		inside, most := 0, 0
		done := make(chan struct{})
		for i := range 10 {
			go func() {
				defer func() { done <- struct{}{} }()
				if err := g.Acquire(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(time.Duration(i+1) * time.Second) // no two of them end at the same time
				mu.Lock()
				inside--
				mu.Unlock()
				g.Release()
			}()
			synctest.Wait()
		}
		if n := g.Waiting(); n != 8 {
			t.Errorf("%d are waiting, want 8", n)
		}
		for range 10 {
			<-done
		}
		if most != 2 {
			t.Errorf("%d were inside at once, want 2", most)
		}
		if !slices.IsSorted(order) {
			t.Errorf("they went in as %v, want first come first served", order)
		}
		if n := g.Waiting(); n != 0 {
			t.Errorf("%d are still waiting", n)
		}
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewHandshakeLimit(1)
		if err := g.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if n := g.Waiting(); n != 0 {
			t.Errorf("%d are waiting after all gave up", n)
		}
		g.Release()
		if err := g.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with an ended context: got %v, want its error", err)
		}
		if err := g.Acquire(t.Context()); err != nil {
			t.Errorf("a call that has ended still counts: %v", err)
		}
	})
}

func TestHandshakeLimitHasADefault(t *testing.T) {
	g := NewHandshakeLimit(0)
	for range defaultHandshakes() {
		if err := g.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if g.slots.TryAcquire(1) {
		t.Error("the default bounds nothing")
	}
}
