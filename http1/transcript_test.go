package http1

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// requests reads all requests of a stream and returns a text of them, which doesn't
// depend on the sizes of the reads.
func requests(src io.Reader, lim Limits) string {
	var out strings.Builder
	r := NewReader(src, lim)
	defer r.Release()
	var req Request
	for {
		if err := r.ReadRequest(&req); err != nil {
			fmt.Fprintf(&out, "%v\n", outcome(err))
			return out.String()
		}
		out.WriteString(requestText(&req))
		if !writeBody(&out, r.Body(req.Framing, req.Length)) {
			return out.String()
		}
	}
}

// responses does the same for responses to requests with the given method.
func responses(src io.Reader, method string, lim Limits) string {
	var out strings.Builder
	r := NewReader(src, lim)
	defer r.Release()
	var resp Response
	for {
		if err := r.ReadResponse(&resp, []byte(method)); err != nil {
			fmt.Fprintf(&out, "%v\n", outcome(err))
			return out.String()
		}
		out.WriteString(responseText(&resp))
		if resp.Upgrade != nil {
			writeRepairs(&out, r)
			fmt.Fprintf(&out, "early %q\n", tunnel(r))
			return out.String()
		}
		whole := writeBody(&out, r.Body(resp.Framing, resp.Length))
		writeRepairs(&out, r)
		if !whole {
			return out.String()
		}
	}
}

func writeRepairs(out *strings.Builder, r *Reader) {
	for text := range r.Repaired().Texts() {
		fmt.Fprintf(out, "  repaired: %s\n", text)
	}
}

// tunnel returns all that follows a head.
func tunnel(r *Reader) []byte {
	early := append([]byte(nil), r.Unread()...)
	rest, _ := io.ReadAll(r.src)
	return append(early, rest...)
}

func requestText(req *Request) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s 1.%d path=%q", req.Method, req.Target, req.Minor, req.Path)
	if req.HasQuery {
		fmt.Fprintf(&out, " query=%q", req.Query)
	}
	fmt.Fprintf(&out, " host=%q %s%s\n", req.Host, framingText(req.Framing, req.Length),
		flags("close", req.Close, "websocket", req.WebSocket, "expect", req.Expect100))
	writeFields(&out, req.Fields)
	return out.String()
}

func responseText(resp *Response) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d %q 1.%d %s%s\n", resp.Status, resp.Reason, resp.Minor,
		framingText(resp.Framing, resp.Length), flags("close", resp.Close, "upgrade", resp.Upgrade != nil))
	writeFields(&out, resp.Fields)
	return out.String()
}

func framingText(f Framing, n int64) string {
	return fmt.Sprintf("%s/%d", [...]string{"no-body", "length", "chunked", "untilclose"}[f], n)
}

func flags(pairs ...any) (s string) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1].(bool) {
			s += " " + pairs[i].(string)
		}
	}
	return s
}

func writeFields(out *strings.Builder, fields []Field) {
	for _, f := range fields {
		fmt.Fprintf(out, "  %s=%q kind=%d%s\n", f.Name, f.Value, f.Kind, flags("hop", f.Hop))
	}
}

// writeBody reports whether the body came to its clean end.
func writeBody(out *strings.Builder, b *Body) bool {
	body, err := readBody(b)
	if len(body) > 0 || b.framing != NoBody {
		fmt.Fprintf(out, "  body %q\n", body)
	}
	if err != nil {
		fmt.Fprintf(out, "  %v\n", outcome(err))
		return false
	}
	writeFields(out, b.Trailers())
	return true
}

func readBody(b *Body) ([]byte, error) {
	var body []byte
	for {
		part, err := b.Next()
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return body, err
		}
		if len(part) == 0 {
			return body, errors.New("Next returned no data and no error")
		}
		body = append(body, part...)
	}
}

func outcome(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return fmt.Sprintf("refused %d: %s", e.Status, e.Reason)
	}
	return err.Error()
}

// readers are the ways in which the source may split the same bytes.
var readers = []struct {
	name string
	wrap func(io.Reader) io.Reader
}{
	{"at once", func(r io.Reader) io.Reader { return r }},
	{"byte by byte", iotest.OneByteReader},
	{"in halves", iotest.HalfReader},
	{"with the end", iotest.DataErrReader},
}

// sameInAllWays returns the result of read for the bytes, and fails if it depends on
// the sizes of the reads.
func sameInAllWays(t *testing.T, raw string, read func(io.Reader) string) string {
	t.Helper()
	want := read(strings.NewReader(raw))
	for _, way := range readers[1:] {
		if got := read(way.wrap(strings.NewReader(raw))); got != want {
			t.Errorf("%q read %s:\n%s\nread at once:\n%s", raw, way.name, got, want)
		}
	}
	return want
}
