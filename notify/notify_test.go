package notify_test

import (
	"sync"
	"testing"

	"tokenring/notify"
)

func TestManyNotesAreOne(t *testing.T) {
	n := notify.NewNote()
	for range 3 {
		n.Leave()
	}
	<-n
	select {
	case <-n:
		t.Error("a second note is there")
	default:
	}
	n.Leave()
	select {
	case <-n:
	default:
		t.Error("no note is there after one was left again")
	}
}

func TestClearedNotesAreGone(t *testing.T) {
	n := notify.NewNote()
	n.Clear() // without a note
	n.Leave()
	n.Clear()
	select {
	case <-n:
		t.Error("the note is still there")
	default:
	}
}

func TestANilNoteStaysEmpty(t *testing.T) {
	var n notify.Note
	n.Leave()
	n.Clear()
}

func TestTheNewestValueIsReceived(t *testing.T) {
	l := notify.NewLatest[int]()
	for i := range 4 {
		l.Set(i)
	}
	close(l)
	if got, ok := <-l; got != 3 || !ok {
		t.Errorf("got %d, %v, want 3", got, ok)
	}
	if got, ok := <-l; ok {
		t.Errorf("got %d after the newest", got)
	}
}

// TestNoLateValueIsLost checks that a receiver in a loop gets the last value.
func TestNoLateValueIsLost(t *testing.T) {
	const last = 10_000
	l := notify.NewLatest[int]()
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		for i := range last + 1 {
			l.Set(i)
		}
	})
	for before := -1; before < last; {
		now := <-l
		if now <= before {
			t.Fatalf("got %d after %d", now, before)
		}
		before = now
	}
}
