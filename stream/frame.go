package stream

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// A frame is a byte for its kind, the length of its payload as a uvarint, and the payload.
// What one end sends is numbered from 1. A reader skips kinds that it doesn't know, and what
// a payload has after the fields that it knows, so that later versions can say more.
const (
	maxPayload = 64 << 10 // in bytes
	readBuffer = 16 << 10 // a TLS record
)

// The kinds of frames. Kind 0 isn't used.
const (
	kindHello       = 1 // first frame of both ends: who it is
	kindHosts       = 2 // opener: numbers of hosts, for reports
	kindReports     = 3 // opener: what it has open for keys
	kindSnapshotEnd = 4 // opener: all that it had when the stream began has been told
	kindPing        = 5 // opener, each second: the frame's own number
	kindAck         = 6 // the other end: the number of the last frame that it has taken in, and its time
	kindQuestion    = 7 // opener
	kindAnswer      = 8 // the other end: a part of an answer
	kindRefusal     = 9 // the other end, instead of a hello or at any time: why it ends the stream
)

// A frameReader reads the frames of one end. It isn't safe for concurrent use.
type frameReader struct {
	conn     net.Conn
	r        *bufio.Reader
	patience time.Duration // for each frame, from when the one before was taken in
	payload  []byte        // of the last frame
	number   uint64        // of the last frame
}

func newFrameReader(conn net.Conn, patience time.Duration) *frameReader {
	return &frameReader{conn: conn, r: bufio.NewReaderSize(conn, readBuffer), patience: patience}
}

// next returns the next frame. The payload is valid until next is called again.
func (f *frameReader) next() (kind byte, payload []byte, err error) {
	if err := f.conn.SetReadDeadline(time.Now().Add(f.patience)); err != nil {
		return 0, nil, err
	}
	if kind, err = f.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	size, err := binary.ReadUvarint(f.r)
	if err != nil {
		return 0, nil, err
	}
	if size > maxPayload {
		return 0, nil, fmt.Errorf("a frame of %d bytes, at most %d are possible", size, maxPayload)
	}
	if n := int(size); n > cap(f.payload) {
		f.payload = make([]byte, n)
	}
	f.payload = f.payload[:size]
	if _, err := io.ReadFull(f.r, f.payload); err != nil {
		return 0, nil, err
	}
	f.number++
	return kind, f.payload, nil
}

// writeAim is how many bytes a frameWriter gathers before it writes them by itself.
const writeAim = 32 << 10

// A frameWriter writes the frames of one end. It isn't safe for concurrent use.
type frameWriter struct {
	conn     net.Conn
	patience time.Duration // for each write
	buffer   []byte        // of the frames that aren't written yet
	number   uint64        // of the last frame
	err      error         // of the first write that failed; nothing is written after it
}

// add adds a frame. It is written at the next flush, or at once if there are many.
func (w *frameWriter) add(kind byte, payload []byte) {
	w.buffer = append(w.buffer, kind)
	w.buffer = binary.AppendUvarint(w.buffer, uint64(len(payload)))
	w.buffer = append(w.buffer, payload...)
	w.number++
	if len(w.buffer) >= writeAim {
		_ = w.flush() // err keeps it
	}
}

// flush writes the frames that were added. An error is that of the first write that failed.
func (w *frameWriter) flush() error {
	if w.err == nil {
		w.err = w.conn.SetWriteDeadline(time.Now().Add(w.patience))
	}
	if w.err == nil {
		_, w.err = w.conn.Write(w.buffer)
	}
	w.buffer = w.buffer[:0]
	return w.err
}
