// Package notify has channels by which one goroutine notifies another: that state has
// changed, or of the newest of several values. Notifications don't queue, and the sender
// never waits.
package notify

// A Note is a channel of capacity one that says that some state has changed. The
// receiver then reads that state. Several notes before it receives count as one, so the
// sender must change the state before it leaves the note. Safe for concurrent use. On a
// nil Note, Leave and Clear do nothing.
type Note chan struct{}

// NewNote returns an empty Note.
func NewNote() Note { return make(Note, 1) }

// Leave leaves a note unless there is one already. It never blocks.
func (n Note) Leave() {
	select {
	case n <- struct{}{}:
	default:
	}
}

// Clear removes the note if there is one. It never blocks.
func (n Note) Clear() {
	select {
	case <-n:
	default:
	}
}

// A Latest is a channel that holds at most one value, the newest. Several goroutines may
// receive from it; each value reaches at most one of them. Only one goroutine may call
// Set and close the channel.
type Latest[T any] chan T

// NewLatest returns a Latest that holds no value.
func NewLatest[T any]() Latest[T] { return make(Latest[T], 1) }

// Set sends v. It replaces a value that hasn't been received yet. It never blocks.
func (l Latest[T]) Set(v T) {
	select {
	case <-l:
	default:
	}
	l <- v
}
