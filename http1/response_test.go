package http1

import (
	"io"
	"strings"
	"testing"
)

func readResponses(t *testing.T, raw, method string) string {
	t.Helper()
	return sameInAllWays(t, raw, func(src io.Reader) string { return responses(src, method, Limits{}) })
}

func TestResponsesAreReadAsTheyWereMeant(t *testing.T) {
	for _, row := range []struct{ method, raw, want string }{
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", `200 "OK" 1.1 length/2
  Content-Length="2" kind=2
  body "hi"
404 "Not Found" 1.1 length/0
  Content-Length="0" kind=2
  body ""
`},
		{"GET", "HTTP/1.1 200\r\n\r\nall of it", `200 "" 1.1 untilclose/-1 close
  body "all of it"
`},
		{"GET", "HTTP/1.1 200 \r\n\r\n", `200 "" 1.1 untilclose/-1 close
  body ""
`},
		{"GET", "HTTP/1.0 200 \xfc\tx\r\n\r\nx", `200 "\xfc\tx" 1.0 untilclose/-1 close
  body "x"
`},
		{"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", `200 "OK" 1.0 length/1
  Connection="keep-alive" kind=4 hop
  Content-Length="1" kind=2
  body "x"
`},
		{"GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", `200 "OK" 1.0 length/1 close
  Content-Length="1" kind=2
  body "x"
`},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n", `200 "OK" 1.1 chunked/-1 close
  Transfer-Encoding="chunked" kind=3 hop
  Connection="close" kind=4 hop
  body "x"
`},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", `200 "OK" 1.1 no-body/2
  Content-Length="2" kind=2
200 "OK" 1.1 no-body/-1
  Transfer-Encoding="chunked" kind=3 hop
200 "OK" 1.1 no-body/-1
`},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nHTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", `304 "Not Modified" 1.1 no-body/2
  Content-Length="2" kind=2
304 "Not Modified" 1.1 no-body/-1
  Transfer-Encoding="chunked" kind=3 hop
`},
		{"GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", `100 "Continue" 1.1 no-body/-1
103 "Early Hints" 1.1 no-body/-1
  Link="x" kind=0
204 "No Content" 1.1 no-body/-1
  Content-Length="0" kind=2 hop
`},
		{"GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n\x81\x01x", `101 "Switching Protocols" 1.1 no-body/-1 upgrade
  Connection="Upgrade" kind=4 hop
  Upgrade="WebSocket" kind=6 hop
early "\x81\x01x"
`},
		{"GET", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 101 x\r\nConnection: upgrade\r\n\r\n", `101 "x" 1.1 no-body/-1
  Upgrade="websocket" kind=6 hop
101 "x" 1.1 no-body/-1
  Connection="upgrade" kind=4 hop
`},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", `200 "OK" 1.1 length/3
  Content-Length="3" kind=2
  body "hi"
  unexpected EOF
`},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", `200 "OK" 1.1 chunked/-1
  Transfer-Encoding="chunked" kind=3 hop
  body "hi"
  unexpected EOF
`},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", `200 "OK" 1.1 chunked/-1
  Transfer-Encoding="chunked" kind=3 hop
  body ""
  refused 502: ` + errChunkSize.Reason + "\n"},
		{"GET", "HTTP/1.1 200 OK\r\nX: ", "unexpected EOF\n"},
		{"GET", "", ""},
	} {
		want := row.want
		if !strings.HasSuffix(want, "unexpected EOF\n") && !strings.Contains(want, "early") && !strings.Contains(want, "refused") {
			want += "EOF\n"
		}
		if got := readResponses(t, row.raw, row.method); got != want {
			t.Errorf("%q:\ngot\n%s\nwant\n%s", row.raw, got, want)
		}
	}
}

func TestResponsesAreRefusedAsABadGateway(t *testing.T) {
	for _, row := range []struct {
		raw    string
		reason *Error
	}{
		{"\r\n\r\n\r\nHTTP/1.1 200 OK\r\n", errEmptyLines},
		{"\nHTTP/1.1 200 OK\n", errNotResponse},
		{" HTTP/1.1 200 OK\r\n", errNotResponse},
		{"ICY 200 OK\r\n", errNotResponse},
		{"http/1.1 200 OK\r\n", errNotResponse},
		{"HTTP/1.1\r\n", errStatusLine},
		{"HTTP/1.1 20\r\n", errStatusLine},
		{"HTTP/1.1 2000 OK\r\n", errStatusLine},
		{"HTTP/1.1 20x OK\r\n", errStatusLine},
		{"HTTP/1.1 099 x\r\n", errStatusLine},
		{"HTTP/1.1 -20 x\r\n", errStatusLine},
		{"HTTP/1.1 200 O\rK\r\n", errBareCR},
		{"HTTP/1x1 200 OK\r\n", errVersion},
		{"HTTP/0.9 200 OK\r\n", errOldNew},
		{"HTTP/1.1 200 O\nK\r\n", errMixedLF},
		{"HTTP/1.1 200 OK\nX: y\r\n", errMixedLF},
		{"HTTP/1.1 200 OK\r\nX: y\nSet-Cookie: a=b\r\n", errMixedLF},
		{"HTTP/1.1 200 OK\nX: a\rb\n", errBareCR},
		{"HTTP/1.1 200 OK\r\n X: a\r\n", errFold},
		{"HTTP/1.1 200 OK\nX\n\n", errName},
		{"HTTP/1.1 200 OK\r\nX Y: a\r\n", errColon},
		{"HTTP/1.1 200 OK\r\n : a\r\n", errFold},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n", errLengthTwice},
		{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", errLength},
		{"HTTP/1.1 200 OK\r\nContent-Length:\r\n", errLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n", errLengthTwice},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1,, 1\r\n", errLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: x\r\n", errLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n", errLengthTwice},
		{"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551619\r\n", errLength},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n", errCoding},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n", errValue},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\x00\r\n", errValue},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n", errCoding},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", errCoding},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", errCodingTwice},
		{"HTTP/1.1 100 x\r\nContent-Length: 1\r\n", errNoContent},
		{"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 101), errFields},
		{"HTTP/1.1 200 " + strings.Repeat("x", 33000) + "\r\n", errHeadLength},
		{"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 4000)+"\r\n", 9), errHeadLength},
	} {
		want := refusal(&Error{Status: 502, Reason: row.reason.Reason})
		if got := readResponses(t, row.raw+"\r\n", "GET"); got != want {
			t.Errorf("%.80q:\ngot  %swant %s", row.raw, got, want)
		}
	}
}
