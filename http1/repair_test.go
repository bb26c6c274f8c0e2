package http1

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// HAProxy relays each of these responses, and each can be read in only one way.
func TestResponsesAreRepairedWhereTheyHaveOneReading(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, row := range []struct {
		raw     string
		body    string
		repairs Repairs
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedLengths},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedLengths},
		{"HTTP/1.1 200 OK\r\nContent-Length: 00000000000000000000000003\r\n\r\nabc", "abc", RepairedLengths},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", RepairedBoth},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", RepairedBoth},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", RepairedCoding},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", RepairedCodingIn10},
		{"HTTP/1.1 204 x\r\nContent-Length: 3\r\n\r\n", "", RepairedNoContent},
		{"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", "", RepairedNoContent},
		{"HTTP/1.1 304 x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "", RepairedBoth},
		{"HTTP/1.1  200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedStatusLine},
		{"HTTP/1.1\t200\tOK\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedStatusLine},
		{"HTTP/1.2 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedVersion},
		{"HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedVersion},
		{"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedEmptyLine},
		{"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "abc", RepairedLF},
		{"HTTP/1.1 200\nX: y\n z\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\nY: z\r\n\r\n", "abc", RepairedLF | RepairedFold},
		{"HTTP/1.1 200 OK\r\nX: y\r\n\tz\r\n  \r\nContent-Length:\r\n 3\r\n\r\nabc", "abc", RepairedFold},
		{"HTTP/1.1 200 OK\r\nX \t: y\r\nContent-Length : 3\r\n\r\nabc", "abc", RepairedColon},
		{"HTTP/1.1 200 O\x00K\r\nX: \x00a\x1b[2J\x7f\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedControl},
		{"HTTP/1.1 200 OK\r\nConnection: a b, X\r\nX: y\r\nContent-Length: 3\r\n\r\nabc", "abc", RepairedOption},
		{chunked + "3   \r\nabc\r\n0 \t \r\n\r\n", "abc", RepairedChunk},
		{chunked + "3 ;a=b\r\nabc\r\n0\r\n\r\n", "abc", RepairedChunk},
		{chunked + "3; a = b\r\nabc\r\n0\r\n\r\n", "abc", RepairedChunk},
		{chunked + "3;@ \"\r\nabc\r\n0\r\n\r\n", "abc", RepairedChunk},
		{chunked + "00000000000000000003\r\nabc\r\n0\r\n\r\n", "abc", RepairedChunk},
		{chunked + "3\r\nabc\r\n0\r\nX : y\r\nY: z\r\n z\x01\r\n\r\n", "abc", RepairedColon | RepairedFold | RepairedControl},
		{"HTTP/1.1 600 x\r\nContent-Length: 3\r\n\r\nabc", "abc", 0},
		{"HTTP/1.1 999 x\r\nContent-Length: 3\r\n\r\nabc", "abc", 0},
	} {
		text := readResponses(t, row.raw, "GET")
		r := NewReader(strings.NewReader(row.raw), Limits{})
		var resp Response
		if err := r.ReadResponse(&resp, []byte("GET")); err != nil {
			t.Errorf("%q: %v", row.raw, err)
			continue
		}
		body, err := readBody(r.Body(resp.Framing, resp.Length))
		if err != nil || string(body) != row.body || r.Repaired() != row.repairs {
			t.Errorf("%q: got %q, %v, repairs %b, want %q and %b\n%s", row.raw, body, err, r.Repaired(), row.body, row.repairs, text)
		}
		for i := range resp.Fields { // what is written anew has to be whole
			if f := &resp.Fields[i]; !isToken(f.Name) || valueSpan(f.Value) != len(f.Value) || len(trim(f.Value)) != len(f.Value) {
				t.Errorf("%q: left is the field %q: %q", row.raw, f.Name, f.Value)
			}
		}
		if resp.Framing == Chunked && resp.Length >= 0 {
			t.Errorf("%q: chunked, and a length of %d", row.raw, resp.Length)
		}
	}
}

func TestRepairedFieldsAreReadAsTheyWereMeant(t *testing.T) {
	const raw = "HTTP/1.1 200\t\x01x\r\nA: y\r\n z\r\n\t\r\nB\t: \x00 q\x00\r\nConnection: a b, C\r\nC: d\r\nContent-Length: 1,1\r\n\r\nx"
	const want = `200 " x" 1.1 length/1
  A="y   z" kind=0
  B="q" kind=0
  Connection="a b, C" kind=4 hop
  C="d" kind=0 hop
  Content-Length="1,1" kind=2
  body "x"
  repaired: equal Content-Lengths (RFC 9112 §6.3)
  repaired: white space in the status line (RFC 9112 §4)
  repaired: a folded field line (RFC 9112 §5.2)
  repaired: white space before a field's colon (RFC 9112 §5.1)
  repaired: a control character in a field value or reason (RFC 9110 §5.5)
  repaired: a Connection option that isn't a token (RFC 9110 §7.6.1)
EOF
`
	if got := readResponses(t, raw, "GET"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The limit of a folded line doesn't depend on the sizes of the reads.
func TestFoldedLineIsAsLongAsItsPartsTogether(t *testing.T) {
	const long = len("X: ") + 50 + len("\r\n ") + 50
	raw := "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 50) + "\r\n " + strings.Repeat("y", 50) + "\r\nContent-Length: 0\r\n\r\n"
	for limit, refused := range map[int]bool{long: false, long - 1: true} {
		for name, src := range map[string]io.Reader{"at once": strings.NewReader(raw), "with pauses": &pauses{left: raw}} {
			r, resp := NewReader(src, Limits{Line: limit}), new(Response)
			err := r.ReadResponse(resp, []byte("GET"))
			for errors.Is(err, os.ErrDeadlineExceeded) {
				err = r.ReadResponse(resp, []byte("GET"))
			}
			if got := err != nil; got != refused || refused && err.(*Error).Reason != errLineLength.Reason {
				t.Errorf("%s, up to %d bytes: got %v, want it refused: %t", name, limit, err, refused)
			}
		}
	}
}

// An upgrade that declares a body is followed by the tunnel's bytes.
func TestUpgradeWithALengthHasNoBody(t *testing.T) {
	const raw = "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc"
	const want = `101 "x" 1.1 no-body/-1 upgrade
  Connection="Upgrade" kind=4 hop
  Upgrade="websocket" kind=6 hop
  Content-Length="3" kind=2 hop
  repaired: a 101 or 204 that declares a body (RFC 9112 §6.3)
early "abc"
`
	if got := readResponses(t, raw, "GET"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A reader repairs responses only.
func TestRequestsAreNeverRepaired(t *testing.T) {
	for raw, fault := range map[string]*Error{
		"\n": errNotRequest, "GET / HTTP/1.1\nHost: a\n\n": errBareLF, "GET / HTTP/2.0\r\n": errOldNew, "GET  / HTTP/1.1\r\n": errRequestLine,
		"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n":                                      errFold,
		"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n":                                           errColon,
		"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n":                                         errValue,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n":                                 errOption,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n":                            errLength,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n":          errLengthTwice,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n": errCodingAndCL,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n":                     errCoding,
		"GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n":                      errCodingIn10,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n":  errChunkExt,
	} {
		r := NewReader(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"+raw), Limits{})
		if err := r.ReadResponse(new(Response), []byte("GET")); err != nil {
			t.Fatal(err)
		}
		var req Request
		err := r.ReadRequest(&req)
		if err == nil {
			_, err = readBody(r.Body(req.Framing, req.Length))
		}
		if err != fault && !(fault == errNotRequest && err == errBareLF) || r.Repaired() != 0 {
			t.Errorf("%q: got %v and repairs %b, want %v", raw, err, r.Repaired(), fault)
		}
	}
}

func TestEachRepairHasItsText(t *testing.T) {
	all, n := Repairs(0), 0
	for range repairTexts {
		all = all<<1 | 1
	}
	for text := range all.Texts() {
		if text != RepairTexts()[n] {
			t.Errorf("text %d is %q", n, text)
		}
		n++
	}
	if n != len(repairTexts) || RepairedChunk != 1<<(n-1) {
		t.Errorf("%d texts, and the last repair is %b", n, RepairedChunk)
	}
}
