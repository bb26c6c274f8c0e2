package http1

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// chunked reads one chunked body. It returns a text of the body and of the bytes after it.
func chunked(src io.Reader) string {
	r := NewReader(src, Limits{Line: 100, Head: 400, Fields: 3})
	defer r.Release()
	var out strings.Builder
	b := r.Body(Chunked, 0)
	if writeBody(&out, b) {
		out.WriteString("  then " + string(tunnel(r)) + "\n")
	}
	return out.String()
}

func TestChunksAreJoined(t *testing.T) {
	for _, row := range []struct{ raw, want string }{
		{"0\r\n\r\nnext", "  body \"\"\n  then next\n"},
		{"3\r\nabc\r\n0\r\n\r\n", "  body \"abc\"\n  then \n"},
		{"00000003\r\nabc\r\n000\r\n\r\n", "  body \"abc\"\n  then \n"},
		{"a\r\n0123456789\r\nA\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n", "  body \"0123456789\\r\\n\\r\\n\\r\\n\\r\\n\\r\\n\"\n  then \n"},
		{"1;a\r\nx\r\n1;a=b;c=\"d\\\"\t;e\";f\r\ny\r\n0;g\r\n\r\n", "  body \"xy\"\n  then \n"},
		{"1\r\nx\r\n0\r\nX: 1\r\nY:\r\n\r\nz", "  body \"x\"\n  X=\"1\" kind=0\n  Y=\"\" kind=0\n  then z\n"},
		{"0\r\nContent-Length: 5\r\nHost: b\r\nX-Forwarded-For: c\r\n\r\n", "  body \"\"\n  then \n"},
		{"0\r\nTrailer: x\r\nSec-WebSocket-Foo: b\r\nContent-Foo: c\r\n\r\n", "  body \"\"\n  then \n"},
		{"0\r\nSet-Cookie: a\r\nTransfer-Encoding: gzip\r\nConnection: x y\r\n\r\n", "  body \"\"\n  then \n"},
		{"", "  body \"\"\n  unexpected EOF\n"},
		{"5", "  body \"\"\n  unexpected EOF\n"},
		{"5\r\nab", "  body \"ab\"\n  unexpected EOF\n"},
		{"2\r\nab", "  body \"ab\"\n  unexpected EOF\n"},
		{"2\r\nab\r", "  body \"ab\"\n  unexpected EOF\n"},
		{"2\r\nab\r\n0\r\n", "  body \"ab\"\n  unexpected EOF\n"},
		{"7fffffffffffffff\r\nab", "  body \"ab\"\n  unexpected EOF\n"},
	} {
		if got := sameInAllWays(t, row.raw, chunked); got != row.want {
			t.Errorf("%q:\ngot\n%s\nwant\n%s", row.raw, got, row.want)
		}
	}
}

func TestMalformedChunksAreRefused(t *testing.T) {
	for _, row := range []struct {
		raw    string
		reason *Error
	}{
		{"\r\n", errChunkSize},
		{"g\r\n", errChunkSize},
		{"-1\r\n", errChunkSize},
		{"+1\r\n", errChunkSize},
		{" 1\r\n", errChunkSize},
		{"0x1\r\n", errChunkExt},
		{"1_0\r\n", errChunkExt},
		{"1 \r\n", errChunkExt},
		{"1\t;a\r\n", errChunkExt},
		{"1 1\r\n", errChunkExt},
		{"00000000000000001\r\n", errChunkSize},
		{"8000000000000000\r\n", errChunkBig},
		{"ffffffffffffffff\r\n", errChunkBig},
		{"1\n", errBareLF},
		{"\n", errBareLF},
		{"1\r\r\n", errChunkExt},
		{"1\rx\r\n", errChunkExt},
		{"1;\r\n", errChunkExt},
		{"1;;a\r\n", errChunkExt},
		{"1; a\r\n", errChunkExt},
		{"1;a \r\n", errChunkExt},
		{"1;a=\r\n", errChunkExt},
		{"1;a=b=c\r\n", errChunkExt},
		{"1;a= b\r\n", errChunkExt},
		{"1;a=\"b\r\n", errChunkExt},
		{"1;a=\"b\\\"\r\n", errChunkExt},
		{"1;a=\"b\x00\"\r\n", errChunkExt},
		{"1;a=\"b\\\x00\"\r\n", errChunkExt},
		{"1;a=\"b\"c\r\n", errChunkExt},
		{"1;a\x00\r\n", errChunkExt},
		{"1;a\nb\r\n", errBareLF},
		{"1;" + strings.Repeat("a", 253) + "\r\n", errChunkLine},
		{strings.Repeat("0", 300), errChunkLine},
		{"1\r\nab", errChunkEnd},
		{"1\r\na\n", errChunkEnd},
		{"1\r\na\r\r", errChunkEnd},
		{"1\r\na0\r\n", errChunkEnd},
		{"0\r\n\n", errBareLF},
		{"0\r\nX: 1\n\r\n", errBareLF},
		{"0\r\n\rX: 1\r\n\r\n", errBareCR},
		{"0\r\n X: 1\r\n\r\n", errFold},
		{"0\r\nX : 1\r\n\r\n", errColon},
		{"0\r\nX: \x00\r\n\r\n", errValue},
		{"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", errColon},
		{"0\r\n" + strings.Repeat("X: 1\r\n", 4) + "\r\n", errFields},
		{"0\r\nX: " + strings.Repeat("y", 98) + "\r\n\r\n", errLineLength},
		{"0\r\n" + strings.Repeat("X: "+strings.Repeat("y", 95)+"\r\n", 4) + "\r\n", errHeadLength},
	} {
		got := sameInAllWays(t, row.raw, chunked)
		if want := outcome(row.reason) + "\n"; !strings.HasSuffix(got, want) {
			t.Errorf("%.80q:\ngot\n%s\nwant %s", row.raw, got, want)
		}
	}
}

func TestAnErrorInABodyIsRepeated(t *testing.T) {
	for _, raw := range []string{"x\r\n", "5\r\n", "1\r\nabc"} {
		r := NewReader(strings.NewReader(raw), Limits{})
		b := r.Body(Chunked, 0)
		_, first := readBody(b)
		_, again := b.Next()
		if first == nil || again != first || b.Done() {
			t.Errorf("%q: got %v, then %v, done %t; want the same error twice", raw, first, again, b.Done())
		}
	}
}

func TestDoneIsKnownWithoutAnotherRead(t *testing.T) {
	r := NewReader(strings.NewReader("abcdef"), Limits{})
	b := r.Body(Length, 6)
	if b.Done() {
		t.Error("done before the first byte")
	}
	if part, err := b.Next(); string(part) != "abcdef" || err != nil || !b.Done() {
		t.Errorf("got %q, %v, done %t; want all of it, done", part, err, b.Done())
	}
	if _, err := b.Next(); err != io.EOF {
		t.Errorf("got %v after the end, want EOF", err)
	}
	for _, b := range []*Body{r.Body(NoBody, 0), r.Body(NoBody, 7), r.Body(Length, 0)} {
		if _, err := b.Next(); !b.Done() || err != io.EOF {
			t.Errorf("%v: an empty body has more to come", b.framing)
		}
	}
}

func TestLongExtensionsOfSmallChunksAreRefused(t *testing.T) {
	for _, row := range []struct {
		chunk string
		times int
		fails bool
	}{
		{"1;" + strings.Repeat("a", 200) + "\r\nx\r\n", 88, false},
		{"1;" + strings.Repeat("a", 200) + "\r\nx\r\n", 89, true},
		{"1;" + strings.Repeat("a", 10) + "\r\nx\r\n", 10000, false},
		{"64;" + strings.Repeat("a", 200) + "\r\n" + strings.Repeat("x", 100) + "\r\n", 10000, false},
	} {
		r := NewReader(strings.NewReader(strings.Repeat(row.chunk, row.times)+"0\r\n\r\n"), Limits{})
		_, err := readBody(r.Body(Chunked, 0))
		if (err == error(errChunkOverhead)) != row.fails || !row.fails && err != nil {
			t.Errorf("%d times %.20q: got %v, want refused %t", row.times, row.chunk, err, row.fails)
		}
		r.Release()
	}
}

// A stalling is a source that gives its parts one by one. An empty part is an error that
// goes away.
type stalling []string

func (s *stalling) Read(b []byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	part := (*s)[0]
	*s = (*s)[1:]
	if part == "" {
		return 0, os.ErrDeadlineExceeded
	}
	return copy(b, part), nil
}

func TestABodyThatHasNotBegunCanBeReadOnceMore(t *testing.T) {
	for _, row := range []struct {
		parts   stalling
		framing Framing
		begun   bool
	}{
		{stalling{"", "hello"}, Length, false},
		{stalling{"he", "", "llo"}, Length, true},
		{stalling{"", "5\r\nhello\r\n0\r\n\r\n"}, Chunked, false},
		{stalling{"5", "", "\r\nhello\r\n0\r\n\r\n"}, Chunked, false},
		{stalling{"5\r\n", "", "hello\r\n0\r\n\r\n"}, Chunked, true},
		{stalling{"5\r\nhello", "", "\r\n0\r\n\r\n"}, Chunked, true},
	} {
		parts := slices.Clone(row.parts)
		r := NewReader(&parts, Limits{})
		b := r.Body(row.framing, 5)
		var err error
		for err == nil {
			_, err = b.Next()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || r.BodyBegun() != row.begun {
			t.Errorf("%q: %v, begun: %t", row.parts, err, r.BodyBegun())
		}
		var out strings.Builder
		if row.begun {
			continue
		}
		if writeBody(&out, r.Body(row.framing, 5)); out.String() != "  body \"hello\"\n" {
			t.Errorf("%q: got %q", row.parts, out.String())
		}
		r.Release()
	}
}
