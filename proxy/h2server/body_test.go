package h2server

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"tokenring/http1"
)

// request is one whose body declares a length, -1 for none.
func request(body string, declared int64) *http.Request {
	r := &http.Request{Header: http.Header{}, ContentLength: declared, Body: io.NopCloser(iotest.OneByteReader(strings.NewReader(body)))}
	if declared >= 0 {
		r.Header["Content-Length"] = []string{"set"}
	}
	return r
}

func TestBodiesWithoutTheDeclaredLengthAreRefused(t *testing.T) {
	long := strings.Repeat("x", WholeBody+5)
	for _, row := range []struct {
		what     string
		body     string
		declared int64
		ok       bool
	}{
		{"none", "", -1, true},
		{"without a length", long, -1, true},
		{"short", "abc", 3, true},
		{"short, and more", "abcd", 3, false},
		{"long", long, int64(len(long)), true},
		{"long, and more", long + "x", int64(len(long)), false},
	} {
		b := NewBody(request(row.body, row.declared))
		var got strings.Builder
		var err error
		for !b.Done() && err == nil {
			var piece []byte
			piece, err = b.Next()
			if len(piece) < len(row.body) && Whole(b.r) && err == nil {
				t.Errorf("%s: a piece of %d bytes before all was there", row.what, len(piece))
			}
			got.Write(piece)
		}
		var bad *http1.Error
		if row.ok && (err != nil || got.String() != row.body) || !row.ok && !errors.As(err, &bad) {
			t.Errorf("%s: got %d bytes and %v", row.what, got.Len(), err)
		}
		if !row.ok && got.Len() >= len(row.body) {
			t.Errorf("%s: all of it was passed on", row.what)
		}
		b.Free()
	}
}

func TestTrailersAreCheckedLikeFields(t *testing.T) {
	for name, ok := range map[string]bool{"X-Sum": true, "X Sum": false} {
		r := request("abc", -1)
		r.Trailer = http.Header{name: {"1"}}
		b := NewBody(r)
		var err error
		for !b.Done() && err == nil {
			_, err = b.Next()
		}
		if ok && (err != nil || len(b.Trailers()) != 1 || string(b.Trailers()[0].Value) != "1") || !ok && err == nil {
			t.Errorf("%s: got %v and %v", name, b.Trailers(), err)
		}
		b.Free()
	}
}

func TestABodyThatIsDeclaredEmptyIsChecked(t *testing.T) {
	for body, ok := range map[string]bool{"": true, "x": false} {
		r := request(body, 0)
		if err := CheckEmpty(r); !DeclaresNone(r) || (err == nil) != ok {
			t.Errorf("%q: got %v", body, err)
		}
	}
}
