package http2

import (
	"strings"
	"testing"
)

func TestHeadsInHTTP1(t *testing.T) {
	r := Request{
		Method: "POST", Path: "/a?b=c%20&d", Authority: "x:81", Length: 3,
		Header: map[string][]string{"X-B": {"1", "2"}, "Accept": {"*/*"}, "Content-Length": {"3"}, "Host": {"X:81"}, "Te": {"trailers"}},
	}
	got, err := r.AppendHead([]byte("before"))
	want := "beforePOST /a?b=c%20&d HTTP/1.1\r\nHost: x:81\r\nAccept: */*\r\nTe: trailers\r\nX-B: 1\r\nX-B: 2\r\nContent-Length: 3\r\n\r\n"
	if string(got) != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for length, want := range map[int64]string{-1: "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n", 0: "Host: x\r\n\r\n"} {
		r := Request{Method: "GET", Path: "/", Authority: "x", Length: length}
		if got, err := r.AppendHead(nil); !strings.HasSuffix(string(got), want) || err != nil {
			t.Errorf("length %d: %q, %v", length, got, err)
		}
	}
	for _, r := range []Request{{Method: "OPTIONS", Path: "*", Authority: "x"}, {Method: "CONNECT", Path: "x:1", Authority: "x:1"}} {
		if _, err := r.AppendHead(nil); err != nil { // http1 checks its meaning
			t.Error(err)
		}
	}
}

func TestRequestsThatHTTP1CannotExpressAreRefused(t *testing.T) {
	for _, tt := range []struct {
		change func(*Request)
		want   Error
	}{
		{func(r *Request) { r.Method = "GET /x HTTP/1.1\r\nA:" }, errControl},
		{func(r *Request) { r.Path = "/a b" }, errControl},
		{func(r *Request) { r.Path = "/\r\nX: y" }, errControl},
		{func(r *Request) { r.Path = "/\x00" }, errControl},
		{func(r *Request) { r.Path = "/\x7f" }, errControl},
		{func(r *Request) { r.Path = "http://x/" }, errPath},
		{func(r *Request) { r.Path = "x" }, errPath},
		{func(r *Request) { r.Path = "" }, errPath},
		{func(r *Request) { r.Path = "*" }, errPath},
		{func(r *Request) { r.Authority = "" }, errAuthority},
		{func(r *Request) { r.Authority = "u@x" }, errAuthority},
		{func(r *Request) { r.Authority = "x/y" }, errAuthority},
		{func(r *Request) { r.Authority = "x,y" }, errAuthority},
		{func(r *Request) { r.Authority = "x y" }, errControl},
		{func(r *Request) { r.Header["Host"] = []string{"y"} }, errHost},
		{func(r *Request) { r.Header["Host"] = []string{"x", "x"} }, errHost},
		{func(r *Request) { r.Header["A:b"] = []string{"y"} }, errField},
		{func(r *Request) { r.Header[""] = []string{"y"} }, errField},
		{func(r *Request) { r.Header["A b"] = []string{"y"} }, errField},
		{func(r *Request) { r.Header["A"] = []string{"ok", "y\r\nB: c"} }, errField},
		{func(r *Request) { r.Header["A"] = []string{"y\n"} }, errField},
		{func(r *Request) { r.Header["A"] = []string{"y\x00"} }, errField},
		{func(r *Request) { r.Header["A"] = []string{" y"} }, errField},
		{func(r *Request) { r.Header["Connection"] = []string{"close"} }, errHop},
		{func(r *Request) { r.Header["Transfer-Encoding"] = []string{"chunked"} }, errHop},
		{func(r *Request) { r.Header["Content-Length"] = []string{"5"} }, errLength}, // on a request that ends with its head
		{func(r *Request) { r.Length = 5 }, errLength},
		{func(r *Request) { r.Length = 5; r.Header["Content-Length"] = []string{"5", "5"} }, errLength},
		{func(r *Request) { r.Length = 5; r.Header["Content-Length"] = []string{"+5"} }, errLength},
		{func(r *Request) { r.Length = 5; r.Header["Content-Length"] = []string{"5, 5"} }, errLength},
		{func(r *Request) { r.Length = -1; r.Header["Content-Length"] = []string{"x"} }, errLength},
	} {
		r := Request{Method: "GET", Path: "/", Authority: "x", Header: map[string][]string{}}
		tt.change(&r)
		if got, err := r.AppendHead(nil); err != tt.want || len(got) > 0 {
			t.Errorf("%+v: got %q, %v, want %v", r, got, err, tt.want)
		}
	}
}
