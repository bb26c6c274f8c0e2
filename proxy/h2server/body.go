package h2server

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"tokenring/http1"
	"tokenring/http2"
)

// A Body is the body of a stream's request.
type Body struct {
	r        *http.Request
	whole    bool // Next returns nothing before all of the body is there
	buf      *[]byte
	left     int64 // of a declared length; -1 without one
	done     bool
	trailers []http1.Field
	excess   [1]byte // for bytes beyond the declared length
}

// NewBody returns the body of r. The caller must call Free.
func NewBody(r *http.Request) Body { return Body{r: r, whole: Whole(r), left: r.ContentLength} }

// Whole reports whether the body of r is so short that all of it is read before anything is
// sent to the host.
func Whole(r *http.Request) bool { return r.ContentLength >= 0 && r.ContentLength <= WholeBody }

// DeclaresNone reports whether r declares that its body is empty. Use CheckEmpty for such a
// request.
func DeclaresNone(r *http.Request) bool {
	return r.ContentLength == 0 && len(r.Header["Content-Length"]) > 0
}

// CheckEmpty waits for the end of a body that must be empty. It returns an error if the
// body isn't.
func CheckEmpty(r *http.Request) error {
	var b [1]byte
	switch n, err := r.Body.Read(b[:]); {
	case errors.Is(err, io.EOF) && n == 0:
		return nil
	case n > 0 || isLengthError(err):
		return errBodyLength
	default:
		return err
	}
}

// WholeBody is the longest body in bytes that is read as a whole before anything is sent to
// the host. Only then is it known that the body has the declared length.
const WholeBody = 16 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, WholeBody); return &b }}

// Next returns the next piece, or an error. After the last piece Done is true. If the
// length is declared, Next waits for the end of the stream before it returns the last
// piece: if the end shows that the request is malformed, the host must not have got all
// of it.
func (b *Body) Next() ([]byte, error) {
	if b.done {
		return nil, io.EOF
	}
	if b.buf == nil {
		b.buf = pieces.Get().(*[]byte)
	}
	buf := *b.buf
	n := 0
	for {
		m, err := b.read(buf[n:])
		n += m
		switch {
		case errors.Is(err, io.EOF):
			err = b.readTrailers()
			b.done = err == nil
			return buf[:n], err
		case err != nil:
			return buf[:n], b.refusal(err)
		case b.left != 0 && (!b.whole || n == len(buf)):
			return buf[:n], nil
		}
	}
}

// read reads what has come, or waits for it. It returns an error for bytes beyond a declared
// length.
func (b *Body) read(p []byte) (n int, err error) {
	if b.left < 0 {
		return b.r.Body.Read(p)
	}
	if b.left == 0 {
		if n, err = b.r.Body.Read(b.excess[:]); n > 0 {
			return 0, errBodyLength
		}
		return 0, err
	}
	n, err = b.r.Body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// refusal returns errBodyLength if err says that the length is wrong, which net/http tells
// only by the text of its error. It returns any other error as it is.
func (b *Body) refusal(err error) error {
	if isLengthError(err) {
		return errBodyLength
	}
	return err
}

var errBodyLength = &http1.Error{Status: 400, Reason: "a body whose length isn't the one declared (RFC 9113 §8.1.1)"}

func isLengthError(err error) bool { return strings.Contains(err.Error(), "Content-Length") }

// readTrailers checks and keeps the fields after the body. net/http has only those that the
// request's Trailer field has announced.
func (b *Body) readTrailers() error {
	for _, name := range slices.Sorted(maps.Keys(b.r.Trailer)) {
		values := b.r.Trailer[name]
		var malformed http2.Error
		if errors.As(http2.CheckField(name, values), &malformed) {
			return &http1.Error{Status: 400, Reason: string(malformed)}
		}
		for _, v := range values {
			if http1.MayTrail([]byte(name)) {
				b.trailers = append(b.trailers, http1.Field{Name: []byte(name), Value: []byte(v)})
			}
		}
	}
	return nil
}

// Done reports whether all of the body was read.
func (b *Body) Done() bool { return b.done }

// Trailers returns the fields after the body, once Done is true.
func (b *Body) Trailers() []http1.Field { return b.trailers }

// Free releases the buffer of the body. What Next has returned becomes invalid.
func (b *Body) Free() {
	if b.buf != nil {
		pieces.Put(b.buf)
		b.buf = nil
	}
}
