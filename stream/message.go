package stream

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tokenring/route"
)

// wireVersion is the version of the frames that this software sends. It goes up when a
// reader must know of it; fields and kinds that are added don't change it.
const wireVersion = 1

// Bounds of what a frame may have.
const (
	maxQuestion = 60 << 10 // in bytes
	maxAnswer   = 1 << 20  // in bytes, of all parts together
	answerPart  = 32 << 10 // in bytes
	maxKind     = 64       // of a question, in bytes
)

// fields reads the fields of a payload. After one that isn't there, all others are zero, and
// err isn't nil.
type fields struct {
	rest []byte
	err  error
}

var (
	errShort  = errors.New("it ends within a field")
	errNumber = errors.New("it has a number that is too great")
)

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
	f.rest = nil
}

// number reads a uvarint of at most limit.
func (f *fields) number(limit uint64) uint64 {
	n, size := binary.Uvarint(f.rest)
	switch {
	case size == 0:
		f.fail(errShort)
		return 0
	case size < 0 || n > limit:
		f.fail(errNumber)
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

// bytes reads n bytes.
func (f *fields) bytes(n int) []byte {
	if n > len(f.rest) {
		f.fail(errShort)
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

// text reads a length of at most limit and as many bytes.
func (f *fields) text(limit int) []byte { return f.bytes(int(f.number(uint64(limit)))) }

// fixed64 reads eight bytes.
func (f *fields) fixed64() uint64 {
	if b := f.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// record reads a length and returns the fields of as many bytes. What the caller doesn't
// read of them is what a later version has added.
func (f *fields) record() fields { return fields{rest: f.text(maxPayload)} }

// appendText appends what text reads.
func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// A hello says who an end is.
type hello struct {
	version uint64
	name    string
	boot    uint64
	keyID   [8]byte
}

func (h hello) append(b []byte) []byte {
	b = binary.AppendUvarint(b, h.version)
	b = appendText(b, h.name)
	b = binary.BigEndian.AppendUint64(b, h.boot)
	return append(b, h.keyID[:]...)
}

func readHello(payload []byte) (h hello, err error) {
	f := fields{rest: payload}
	h.version = f.number(1 << 32)
	h.name = string(f.text(route.MaxName))
	h.boot = f.fixed64()
	copy(h.keyID[:], f.bytes(len(h.keyID)))
	switch {
	case f.err != nil:
		return hello{}, fmt.Errorf("its first frame: %w", f.err)
	case h.version == 0:
		return hello{}, errors.New("its first frame has no version")
	}
	if err := route.CheckName(h.name); err != nil {
		return hello{}, fmt.Errorf("its first frame: %w", err)
	}
	return h, nil
}

// appendNumber returns the payload of a ping.
func appendNumber(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

func readNumber(payload []byte) (uint64, error) {
	f := fields{rest: payload}
	return f.number(1<<64 - 1), f.err
}

// A question is of one Ask.
type question struct {
	id   uint64 // of its stream
	kind string
	body []byte
}

func (q question) append(b []byte) []byte {
	b = binary.AppendUvarint(b, q.id)
	b = appendText(b, q.kind)
	return appendText(b, q.body)
}

// readQuestion returns a question that shares no memory with payload.
func readQuestion(payload []byte) (q question, err error) {
	f := fields{rest: payload}
	q.id = f.number(1<<64 - 1)
	q.kind = string(f.text(maxKind))
	q.body = append([]byte(nil), f.text(maxQuestion)...)
	if f.err != nil {
		return question{}, fmt.Errorf("a question: %w", f.err)
	}
	return q, nil
}

// The flags of an answerPart.
const (
	answerLast  = 1 << iota // no part comes after it
	answerError             // it is the text of an error
)

// A part is a part of an answer.
type part struct {
	id    uint64 // of the question
	flags uint64
	body  []byte
}

func (p part) append(b []byte) []byte {
	b = binary.AppendUvarint(b, p.id)
	b = binary.AppendUvarint(b, p.flags)
	return appendText(b, p.body)
}

// readPart returns a part that shares its body with payload.
func readPart(payload []byte) (p part, err error) {
	f := fields{rest: payload}
	p.id = f.number(1<<64 - 1)
	p.flags = f.number(1<<64 - 1)
	p.body = f.text(maxPayload)
	if f.err != nil {
		return part{}, fmt.Errorf("an answer: %w", f.err)
	}
	return p, nil
}

// maxRefusal is the greatest length of the text of a refusal, in bytes.
const maxRefusal = 300

// A refusedError is why the other end has ended the stream, in its words.
type refusedError struct{ text string }

func (e refusedError) Error() string { return fmt.Sprintf("it refuses this balancer: %q", e.text) }

// readRefusal returns the error that the other end gives for ending the stream.
func readRefusal(payload []byte) error {
	f := fields{rest: payload}
	text := f.text(maxRefusal)
	if f.err != nil {
		return fmt.Errorf("a refusal: %w", f.err)
	}
	return refusedError{string(text)}
}
