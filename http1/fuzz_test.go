package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
)

var small = Limits{Line: 64, Head: 256, Fields: 5}

var requestSeeds = []string{
	"GET /a?token=b HTTP/1.1\r\nHost: a\r\nConnection: x-y, close\r\nX-Y: z\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\n",
	"\r\nPUT http://a/ HTTP/1.1\r\nHost: A\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nT: u\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nX:\t y \x80\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
	"GET http://a HTTP/1.0\r\nHost: a:\r\n\r\n",
	"GET https://a:443/ HTTP/1.1\r\nHost: A\r\n\r\n",
	"SSH-2.0-OpenSSH_9.2\r\n",
	"GET / HTTP/1.1\rHost: a\r\r",
	"TRACE /%00 HTTP/1.0\r\nX_Forwarded_For: b\r\nTransfer_Encoding: chunked\r\nContent-Length: 00\r\n\r\n",
}

var responseSeeds = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: u\r\n\r\n",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil close",
	"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly",
	"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n",
}

// FuzzRequest checks that the meaning of a stream of requests doesn't depend on the
// sizes of the reads, and that a head has the same meaning when it is written anew.
func FuzzRequest(f *testing.F) {
	for _, seed := range requestSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		sameInAllWays(t, raw, func(src io.Reader) string { return requests(src, Limits{}) })
		sameInAllWays(t, raw, func(src io.Reader) string { return requests(src, small) })
		checkRequestRoundTrip(t, raw)
	})
}

func checkRequestRoundTrip(t *testing.T, raw string) {
	var req, again Request
	if NewReader(strings.NewReader(raw), Limits{}).ReadRequest(&req) != nil || req.Minor == 0 {
		return // what is written is always HTTP/1.1
	}
	head := AppendRequestLine(nil, req.Method, req.Target)
	head = appendFields(head, req.Fields)
	if err := NewReader(bytes.NewReader(head), Limits{}).ReadRequest(&again); err != nil {
		t.Fatalf("%q, written anew as %q: %v", raw, head, err)
	}
	if got, want := requestText(&again), requestText(&req); got != want {
		t.Errorf("%q, written anew:\n%s\nwant\n%s", raw, got, want)
	}
}

func appendFields(head []byte, fields []Field) []byte {
	for _, f := range fields {
		head = AppendField(head, f.Name, f.Value)
	}
	return append(head, "\r\n"...)
}

// FuzzResponse is FuzzRequest for responses.
func FuzzResponse(f *testing.F) {
	for _, seed := range responseSeeds {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, raw string, head bool) {
		method := map[bool]string{true: "HEAD", false: "GET"}[head]
		sameInAllWays(t, raw, func(src io.Reader) string { return responses(src, method, Limits{}) })
		sameInAllWays(t, raw, func(src io.Reader) string { return responses(src, method, small) })

		var resp, again Response
		r := NewReader(strings.NewReader(raw), Limits{})
		if r.ReadResponse(&resp, []byte(method)) != nil || resp.Minor == 0 {
			return
		}
		anew := appendFields(AppendStatusLine(nil, resp.Status, resp.Reason), resp.Fields)
		if err := NewReader(bytes.NewReader(anew), Limits{}).ReadResponse(&again, []byte(method)); err != nil {
			t.Fatalf("%q, written anew as %q: %v", raw, anew, err)
		}
		if got, want := responseText(&again), responseText(&resp); got != want {
			t.Errorf("%q, written anew:\n%s\nwant\n%s", raw, got, want)
		}
	})
}

// FuzzChunked checks that a chunked body doesn't depend on the sizes of the reads, that
// it is the same when it is written anew, and that net/http reads the same body.
func FuzzChunked(f *testing.F) {
	for _, seed := range []string{
		"0\r\n\r\n", "3\r\nabc\r\n0\r\nX: y\r\n\r\nnext", "1;a=b;c=\"d\\\"\"\r\nx\r\n00\r\n\r\n", "7fffffffffffffff\r\nx", "a\r\n0123456789\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		sameInAllWays(t, raw, chunked)
		r := NewReader(strings.NewReader(raw), Limits{})
		b := r.Body(Chunked, 0)
		body, err := readBody(b)
		if err != nil {
			return
		}
		var anew []byte
		if len(body) > 0 {
			anew = append(append(AppendChunkHeader(nil, len(body)), body...), "\r\n"...)
		}
		anew = AppendLastChunk(anew, b.Trailers())
		again := NewReader(bytes.NewReader(anew), Limits{Head: 1 << 20, Line: 1 << 20})
		if got, err := readBody(again.Body(Chunked, 0)); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%q, written anew: got %q, %v, want %q", raw, got, err, body)
		}
		checkAgainstNetHTTP(t, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+raw)
	})
}

// FuzzAgainstNetHTTP checks that net/http accepts every message that we accept, and
// reads the same message. It is the more lenient of the two, so messages that only
// net/http accepts aren't checked.
func FuzzAgainstNetHTTP(f *testing.F) {
	for _, seed := range requestSeeds {
		f.Add(seed)
	}
	f.Fuzz(checkAgainstNetHTTP)
}

func checkAgainstNetHTTP(t *testing.T, raw string) {
	var req Request
	r := NewReader(strings.NewReader(raw), Limits{})
	if r.ReadRequest(&req) != nil {
		return
	}
	for range maxEmptyLines { // which net/http doesn't skip
		raw = strings.TrimPrefix(raw, "\r\n")
	}
	src := bufio.NewReader(strings.NewReader(raw))
	theirs, err := http.ReadRequest(src)
	if err != nil {
		if strings.Contains(err.Error(), "bad trailer key") {
			return // it checks the fields that Trailer announces; this package checks those that come
		}
		t.Fatalf("%q: net/http refuses it: %v", raw, err)
	}
	checkHead(t, &req, theirs)
	b := r.Body(req.Framing, req.Length)
	body, err := readBody(b)
	theirBody, theirErr := io.ReadAll(theirs.Body)
	if err != nil {
		return
	}
	if theirErr != nil || !bytes.Equal(body, theirBody) {
		t.Fatalf("%q: got body %q, net/http %q, %v", raw, body, theirBody, theirErr)
	}
	rest, _ := io.ReadAll(src)
	if ours := tunnel(r); !bytes.Equal(ours, rest) {
		t.Fatalf("%q: got %q left over, net/http %q", raw, ours, rest)
	}
	for _, trailer := range b.Trailers() {
		checkField(t, trailer, theirs.Trailer)
	}
}

func checkHead(t *testing.T, req *Request, theirs *http.Request) {
	t.Helper()
	if theirs.Method != string(req.Method) || theirs.RequestURI != string(req.Target) || theirs.ProtoMinor != req.Minor ||
		!sameHostAs(req, theirs.Host) {
		t.Fatalf("got %q, net/http %s %q %s host %q", requestText(req), theirs.Method, theirs.RequestURI, theirs.Proto, theirs.Host)
	}
	length := map[Framing]int64{NoBody: 0, Length: req.Length, Chunked: -1}[req.Framing]
	if theirs.ContentLength != length {
		t.Fatalf("got length %d, net/http %d", length, theirs.ContentLength)
	}
	if req.HasQuery != (theirs.URL.ForceQuery || theirs.URL.RawQuery != "") || string(req.Query) != theirs.URL.RawQuery {
		t.Fatalf("got query %q, net/http %q", req.Query, theirs.URL.RawQuery)
	}
	for _, f := range req.Fields {
		switch f.Kind { // net/http moves these out of the header
		case KindHost, KindTransferEncoding, KindTrailer:
		default:
			checkField(t, f, theirs.Header)
		}
	}
}

// sameHostAs reports whether net/http has the host of req. For a target in absolute form it has
// the target's, and this package the Host field, which may have another spelling of the port.
func sameHostAs(req *Request, theirs string) bool {
	if scheme := bytes.Index(req.Target, []byte("://")); scheme > 0 && req.Target[0] != '/' {
		return req.sameAuthority(req.Host, []byte(theirs))
	}
	return strings.EqualFold(theirs, string(req.Host))
}

func checkField(t *testing.T, f Field, theirs http.Header) {
	t.Helper()
	for _, value := range theirs[textproto.CanonicalMIMEHeaderKey(string(f.Name))] {
		if value == string(f.Value) {
			return
		}
	}
	t.Fatalf("got %s: %q, which net/http hasn't in %q", f.Name, f.Value, theirs)
}
