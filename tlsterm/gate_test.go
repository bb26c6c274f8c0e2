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

func TestGateLetsInNoMoreThanItsPlacesAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(2)
		var mu sync.Mutex // guards the next two lines
		var order []int
		inside, most := 0, 0
		done := make(chan struct{})
		for i := range 10 {
			go func() {
				defer func() { done <- struct{}{} }()
				if err := g.Enter(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(time.Duration(i+1) * time.Second) // nobody leaves together with another
				mu.Lock()
				inside--
				mu.Unlock()
				g.Leave()
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

func TestGateHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1)
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if n := g.Waiting(); n != 0 {
			t.Errorf("%d are waiting after all gave up", n)
		}
		g.Leave()
		if err := g.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a dead context got in: %v", err)
		}
		if err := g.Enter(t.Context()); err != nil {
			t.Errorf("whoever gave up holds a place: %v", err)
		}
	})
}

func TestGateHasADefault(t *testing.T) {
	g := NewGate(0)
	for range defaultHandshakes() {
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if g.slots.TryAcquire(1) {
		t.Error("the default bounds nothing")
	}
}
