// Package logqueue keeps whoever logs from waiting for whoever reads the log: lines wait in a
// bounded queue, from which one goroutine writes them, and are dropped and counted once it is full.
package logqueue

import (
	"io"
	"sync"
)

// keptBytes is how large a buffer may be that a Queue keeps for the lines to come. A larger
// one, which a slow reader has left behind, goes to the garbage collector.
const keptBytes = 1 << 20

// A Queue is an io.Writer that doesn't wait. It is safe for concurrent use.
//
// It has two batches of lines: into one, Write copies; out of the other, run writes. They change
// places whenever run has nothing left. So a line costs a lock and a copy, and no allocation.
type Queue struct {
	dropped func(lines int)
	size    int
	more    chan struct{} // lines wait, or the queue is closed; has room for one note
	done    chan struct{} // run has ended

	mu      sync.Mutex
	waiting batch
	kept    int // lines in both batches that aren't written yet
	closed  bool
}

// A batch is lines, one after the other, and where each ends.
type batch struct {
	text []byte
	ends []int
}

// Open returns a Queue of up to size lines that w has not taken yet. Each line goes to w in one
// Write, and errors of w are ignored: a log has nowhere to say that it can't be written. dropped
// is told about each line that found the queue full or closed, by the goroutine that logs it;
// it mustn't block. The caller closes the Queue, and w after that.
func Open(w io.Writer, size int, dropped func(lines int)) *Queue {
	q := &Queue{dropped: dropped, size: size, more: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run(w)
	return q
}

// Write takes a copy of a line, or drops it. It doesn't fail, and doesn't wait for the reader.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	if q.closed || q.kept == q.size {
		q.mu.Unlock()
		q.dropped(1)
		return len(line), nil
	}
	q.kept++
	q.waiting.text = append(q.waiting.text, line...)
	q.waiting.ends = append(q.waiting.ends, len(q.waiting.text))
	first := len(q.waiting.ends) == 1
	q.mu.Unlock()
	if first {
		q.note()
	}
	return len(line), nil
}

// Close waits until each line is written whose Write has returned before. Lines that come
// later are dropped. It may be called again.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.note()
	<-q.done
}

// note tells run to look again.
func (q *Queue) note() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// run writes lines to w until the queue is closed and empty.
func (q *Queue) run(w io.Writer) {
	defer close(q.done)
	var lines batch
	for {
		var closed bool
		lines, closed = q.swap(lines)
		if len(lines.ends) > 0 {
			q.write(w, lines)
			continue
		}
		if closed {
			return
		}
		<-q.more
	}
}

// swap returns the lines that wait, and whether the queue is closed. It keeps the buffers
// of written for lines to come.
func (q *Queue) swap(written batch) (lines batch, closed bool) {
	if cap(written.text) > keptBytes {
		written.text = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	lines = q.waiting
	q.waiting = batch{text: written.text[:0], ends: written.ends[:0]}
	return lines, q.closed
}

// write writes lines to w. Each makes room for another one as soon as w has taken it.
func (q *Queue) write(w io.Writer, lines batch) {
	start := 0
	for _, end := range lines.ends {
		_, _ = w.Write(lines.text[start:end:end])
		start = end
		q.mu.Lock()
		q.kept--
		q.mu.Unlock()
	}
}
