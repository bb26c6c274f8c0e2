package http1

import (
	"io"
	"math/bits"
	"sync"
)

// Buffers come in powers of two, one pool for each size. Larger ones than the
// largest class, which only an unusual Head limit asks for, aren't pooled.
const (
	headBuffer = 4 << 10  // the first buffer of a connection
	bodyBuffer = 16 << 10 // for bodies that don't fit behind their head
	classCount = 6        // 4 KiB to 128 KiB

	maxEmptyReads = 100 // reads without data or error before io.ErrNoProgress
)

type buffer struct{ b []byte }

var pools [classCount]sync.Pool

// class returns the pool's index for a size, which may be too high.
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

// putBuffer gives a buffer back. It accepts nil.
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
// The head of the current message is pinned: its bytes stay where they are
// until begin. Reading a body fills what is free behind it, and then moves on
// to a buffer of its own, with the head's kept aside.
type window struct {
	src  io.Reader
	err  error // came with the last bytes read; reported by the next fill
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

// begin starts a new message: the head before it isn't needed any more. With
// nothing unread, a buffer that had grown is given back too.
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

// release gives all buffers back and forgets what they held.
func (w *window) release() {
	putBuffer(w.head)
	putBuffer(w.now)
	*w = window{}
}

// fill reads once from the source, behind what is unread. It returns nil if
// there is more to see, and otherwise the source's error.
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

// makeRoom provides for at least one free byte.
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
		w.part(bodyBuffer)
	default:
		w.part(2 * len(w.now.b))
	}
}

// part moves what is unread into another buffer and leaves a pinned head
// behind.
func (w *window) part(size int) {
	next := getBuffer(max(size, w.end-w.at+1))
	w.end = copy(next.b, w.now.b[w.at:w.end])
	if w.pin > 0 {
		w.head = w.now
	} else {
		putBuffer(w.now)
	}
	w.now, w.at, w.pin = next, 0, 0
}

// fillBody is fill for a body of which at least left bytes are to come. A
// long one gets a large buffer, so that it takes few reads.
func (w *window) fillBody(left int64) error {
	if w.pin > 0 && w.at == w.end && left > int64(len(w.now.b)-w.pin) {
		w.part(bodyBuffer)
	}
	return w.fill()
}
