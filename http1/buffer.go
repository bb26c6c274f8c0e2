package http1

import (
	"io"
	"math/bits"
	"sync"
)

// The sizes of buffers are powers of two, with one pool for each size. Buffers beyond
// the largest class aren't pooled; only an unusual Head limit needs them.
const (
	headBuffer = 4 << 10  // the first buffer of a connection
	bodyBuffer = 16 << 10 // for bodies that don't fit into the buffer of their head
	classCount = 6        // 4 KiB to 128 KiB

	maxEmptyReads = 100 // reads without data or error before io.ErrNoProgress
)

type buffer struct{ b []byte }

var pools [classCount]sync.Pool

// class returns the index of the pool for a size. It is classCount or more if the size
// isn't pooled.
func class(size int) int { return bits.Len(uint((size - 1) / headBuffer)) }

// getBuffer returns a buffer of at least size bytes.
func getBuffer(size int) *buffer {
	c := class(size)
	if c >= classCount {
		return &buffer{make([]byte, size)}
	}
	if b, ok := pools[c].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, headBuffer<<c)}
}

// putBuffer returns a buffer to its pool. b may be nil.
func putBuffer(b *buffer) {
	if b == nil {
		return
	}
	if c := class(len(b.b)); c < classCount {
		pools[c].Put(b)
	}
}

// A window is the part of a byte stream that is in memory.
//
//	now.b:  [ ... pinned head ... | consumed | unread | free ]
//	0                           pin        at       end
//
// The head of the current message is pinned: its bytes don't move until begin. A body
// is read into the free space after the head, and after that into a buffer of its own,
// while head keeps the buffer of the head.
type window struct {
	src  io.Reader
	err  error // the source returned it together with data; the next fill returns it
	now  *buffer
	head *buffer // holds the pinned head if now doesn't
	pin  int
	at   int
	end  int
}

// unread returns the bytes that are buffered and not consumed.
func (w *window) unread() []byte {
	if w.now == nil {
		return nil
	}
	return w.now.b[w.at:w.end:w.end]
}

// take consumes n of the unread bytes and returns them.
func (w *window) take(n int) []byte {
	from := w.at
	w.at += n
	return w.now.b[from:w.at:w.at]
}

// begin starts a new message: the previous head isn't needed any more. If nothing is
// unread, begin also frees a buffer that has grown.
func (w *window) begin() {
	putBuffer(w.head)
	w.head, w.pin = nil, 0
	if w.at < w.end || w.now == nil {
		return
	}
	w.at, w.end = 0, 0
	if len(w.now.b) > headBuffer {
		putBuffer(w.now)
		w.now = nil
	}
}

// release returns all buffers to their pools and clears w.
func (w *window) release() {
	putBuffer(w.head)
	putBuffer(w.now)
	*w = window{}
}

// fill reads once from the source and appends to the unread bytes. It returns nil if
// there are more of them, and otherwise the source's error.
func (w *window) fill() error {
	if err := w.err; err != nil {
		w.err = nil
		return err
	}
	w.makeRoom()
	for range maxEmptyReads {
		n, err := w.src.Read(w.now.b[w.end:])
		w.end += n
		if n > 0 {
			w.err = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom makes at least one byte free.
func (w *window) makeRoom() {
	switch {
	case w.now == nil:
		w.now = getBuffer(headBuffer)
	case w.at == w.end:
		w.at, w.end = w.pin, w.pin
	}
	switch {
	case w.end < len(w.now.b):
	case w.at > w.pin:
		w.end = w.pin + copy(w.now.b[w.pin:], w.now.b[w.at:w.end])
		w.at = w.pin
	case w.pin > 0:
		w.move(bodyBuffer)
	default:
		w.move(2 * len(w.now.b))
	}
}

// move moves the unread bytes into another buffer of at least size bytes. A pinned head
// stays in its buffer.
func (w *window) move(size int) {
	next := getBuffer(max(size, w.end-w.at+1))
	w.end = copy(next.b, w.now.b[w.at:w.end])
	if w.pin > 0 {
		w.head = w.now
	} else {
		putBuffer(w.now)
	}
	w.now, w.at, w.pin = next, 0, 0
}

// fillBody is fill for a body of which at least left more bytes are expected. A long
// body gets a large buffer, so that it takes few reads.
func (w *window) fillBody(left int64) error {
	if w.pin > 0 && w.at == w.end && left > int64(len(w.now.b)-w.pin) {
		w.move(bodyBuffer)
	}
	return w.fill()
}
