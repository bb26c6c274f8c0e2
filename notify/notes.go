package notify

import "sync"

// Notes are the notes of several receivers that look at one state. The zero value has none. Safe
// for concurrent use.
type Notes struct {
	mu  sync.Mutex
	all []Note
}

// Add returns one more note.
func (n *Notes) Add() Note {
	n.mu.Lock()
	defer n.mu.Unlock()
	note := NewNote()
	n.all = append(n.all, note)
	return note
}

// Leave leaves each note unless there is one already. It never blocks.
func (n *Notes) Leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, note := range n.all {
		note.Leave()
	}
}
