package http1

import (
	"io"
	"strings"
	"testing"
)

func readRequests(t *testing.T, raw string) string {
	t.Helper()
	return sameInAllWays(t, raw, func(src io.Reader) string { return requests(src, Limits{}) })
}

// refusal is the transcript of a stream whose first message is refused.
func refusal(e *Error) string { return outcome(e) + "\n" }

func TestRequestsAreReadAsTheyWereMeant(t *testing.T) {
	for _, row := range []struct{ raw, want string }{
		{"", ""},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", `GET / 1.1 path="/" host="a" no-body/0
  Host="a" kind=1
`},
		{"GET /x?token=a%20b&c HTTP/1.1\r\nHost: a.example:8443\r\n\r\n", `GET /x?token=a%20b&c 1.1 path="/x" query="token=a%20b&c" host="a.example:8443" no-body/0
  Host="a.example:8443" kind=1
`},
		{"GET /? HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", `GET /? 1.1 path="/" query="" host="[::1]:80" no-body/0
  Host="[::1]:80" kind=1
`},
		{"GET /a?b?c=%zz|\\ HTTP/1.1\r\nHost: A\r\n\r\n", `GET /a?b?c=%zz|\ 1.1 path="/a" query="b?c=%zz|\\" host="A" no-body/0
  Host="A" kind=1
`},
		{"GET http://a.b:80/x?y HTTP/1.1\r\nHost: A.b:80\r\n\r\n", `GET http://a.b:80/x?y 1.1 path="/x" query="y" host="A.b:80" no-body/0
  Host="A.b:80" kind=1
`},
		{"GET HTTPS://a?y HTTP/1.1\r\nHost: a\r\n\r\n", `GET HTTPS://a?y 1.1 path="/" query="y" host="a" no-body/0
  Host="a" kind=1
`},
		{"OPTIONS http://a HTTP/1.0\r\n\r\n", `OPTIONS http://a 1.0 path="*" host="a" no-body/0 close
`},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", `OPTIONS * 1.1 path="*" host="a" no-body/0
  Host="a" kind=1
`},
		{"\r\n\r\nGET / HTTP/1.0\r\n\r\n\r\n", `GET / 1.0 path="/" host="" no-body/0 close
`},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", `GET / 1.0 path="/" host="" no-body/0
  Connection="Keep-Alive" kind=4 hop
`},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: , close,,keep-alive\r\n\r\n", `GET / 1.1 path="/" host="a" no-body/0 close
  Host="a" kind=1
  Connection=", close,,keep-alive" kind=4 hop
`},
		{"POST /u HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nhost: b\r\n\r\n", `POST /u 1.1 path="/u" host="a" length/3
  Host="a" kind=1
  Content-Length="3" kind=2
  body "abc"
GET / 1.1 path="/" host="b" no-body/0
  host="b" kind=1
`},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nConnection: x-hop\r\n\r\n" +
			"3\r\nabc\r\n0\r\nX-Sum: 1\r\nHost: b\r\nX-Hop: 1\r\n\r\n" +
			"PUT / HTTP/1.1\r\nHost: c\r\nContent-Length: 0\r\n\r\n", `POST / 1.1 path="/" host="a" chunked/0
  Host="a" kind=1
  Transfer-Encoding="Chunked" kind=3 hop
  Connection="x-hop" kind=4 hop
  body "abc"
  X-Sum="1" kind=0
  X-Hop="1" kind=0 hop
PUT / 1.1 path="/" host="c" length/0
  Host="c" kind=1
  Content-Length="0" kind=2
  body ""
`},
		{"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 9\r\n\r\nshort", `POST / 1.1 path="/" host="a" length/9 expect
  Host="a" kind=1
  Expect="100-Continue" kind=12
  Content-Length="9" kind=2
  body "short"
  unexpected EOF
`},
		{"GET / HTTP/1.1\r\nHost: a\r\nX:\t a \x80\t b \t\r\nY:\r\nZ: :\r\n\r\n", `GET / 1.1 path="/" host="a" no-body/0
  Host="a" kind=1
  X="a \x80\t b" kind=0
  Y="" kind=0
  Z=":" kind=0
`},
		{"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", `GET / 1.1 path="/" host="a" no-body/0
  Host="a" kind=1
  Expect="100-continue" kind=12
`},
		{"\r\n", ""},
		{"\r", "unexpected EOF\n"},
		{"G", "unexpected EOF\n"},
		{"GET / HTTP/1.1\r\nHost: a\r\n", "unexpected EOF\n"},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r", "unexpected EOF\n"},
	} {
		want := row.want
		if !strings.HasSuffix(want, "unexpected EOF\n") {
			want += "EOF\n"
		}
		if got := readRequests(t, row.raw); got != want {
			t.Errorf("%q:\ngot\n%s\nwant\n%s", row.raw, got, want)
		}
	}
}

func TestRequestLinesAreRefused(t *testing.T) {
	for _, row := range []struct {
		line   string
		reason *Error
	}{
		{" GET / HTTP/1.1", errNotRequest},
		{"\tGET / HTTP/1.1", errNotRequest},
		{"\x16\x03\x01\x02\x00", errNotRequest},
		{"\x00", errNotRequest},
		{"\r\n\r\n\r\nGET / HTTP/1.1", errEmptyLines},
		{"\nGET / HTTP/1.1", errBareLF},
		{"\rGET / HTTP/1.1", errBareCR},
		{"GET", errRequestLine},
		{"GET ", errRequestLine},
		{"GET /", errRequestLine},
		{"A HTTP/1.1", errRequestLine},
		{"GET  / HTTP/1.1", errRequestLine},
		{"GET / ", errVersion},
		{"GET /  HTTP/1.1", errVersion},
		{"GET / HTTP/1.1 ", errVersion},
		{"GET\t/ HTTP/1.1", errRequestLine},
		{"GET /\tHTTP/1.1", errTargetByte},
		{"GE(T / HTTP/1.1", errRequestLine},
		{"GET /\x00 HTTP/1.1", errTargetByte},
		{"GET /\x01 HTTP/1.1", errTargetByte},
		{"GET /\x7f HTTP/1.1", errTargetByte},
		{"GET /\x80 HTTP/1.1", errTargetByte},
		{"GET /ü HTTP/1.1", errTargetByte},
		{"GET /#x HTTP/1.1", errTargetByte},
		{"GET /?a=b#x HTTP/1.1", errTargetByte},
		{"GET /a\rb HTTP/1.1", errBareCR},
		{"GET / HTTP/1.1\r", errBareCR},
		{"GET / HTTP/1.1\n", errBareLF},
		{"GET /a\\b HTTP/1.1", errTargetByte},
		{"GET /%zz HTTP/1.1", errEscape},
		{"GET /%4 HTTP/1.1", errEscape},
		{"GET /%?aa HTTP/1.1", errEscape},
		{"GET /%00 HTTP/1.1", errNUL},
		{"GET /a%2f%00?b HTTP/1.1", errNUL},
		{"GET / http/1.1", errVersion},
		{"GET / HTTP/1", errVersion},
		{"GET / HTTP/1.", errVersion},
		{"GET / HTTP/1.10", errVersion},
		{"GET / HTTP/11.1", errVersion},
		{"GET / HTTP/1.x", errVersion},
		{"GET / HTTP/1,1", errVersion},
		{"GET / HTTPS/1.1", errVersion},
		{"GET / HTTP/1.2", errOldNew},
		{"GET / HTTP/0.9", errOldNew},
		{"PRI * HTTP/2.0", errOldNew},
		{"PRI * HTTP/1.1", errPRI},
		{"PRI / HTTP/1.1", errPRI},
		{"GET * HTTP/1.1", errTargetForm},
		{"OPTIONS ** HTTP/1.1", errTargetForm},
		{"GET x HTTP/1.1", errTargetForm},
		{"GET ?x HTTP/1.1", errTargetForm},
		{"GET a:80 HTTP/1.1", errTargetForm},
		{"CONNECT a:80 HTTP/1.1", errConnect},
		{"CONNECT / HTTP/1.1", errConnect},
		{"GET ftp://a/ HTTP/1.1", errScheme},
		{"GET ://a/ HTTP/1.1", errScheme},
		{"GET x/://a HTTP/1.1", errScheme},
		{"GET http:/a HTTP/1.1", errTargetForm},
		{"GET http:///a HTTP/1.1", errAuthority},
		{"GET http://b/ HTTP/1.1", errAuthority},
		{"GET http://a:443/ HTTP/1.1", errAuthority},
		{"GET https://a:80/ HTTP/1.1", errAuthority},
		{"GET http://a:080/ HTTP/1.1", errAuthority},
		{"GET http://a:8080/ HTTP/1.1", errAuthority},
		{"GET http://a:80:80/ HTTP/1.1", errAuthority},
		{"GET http://:80/ HTTP/1.1", errAuthority},
		{"GET http://x@a/ HTTP/1.1", errAuthority},
		{"GET http://a/%x HTTP/1.1", errEscape},
	} {
		want := refusal(row.reason)
		if got := readRequests(t, row.line+"\r\nHost: a\r\n\r\n"); got != want {
			t.Errorf("%q:\ngot  %swant %s", row.line, got, want)
		}
	}
}

// A client that doesn't speak HTTP/1 sends no empty line, and must get an answer at
// once.
func TestFirstLinesAreCheckedBeforeTheRestComes(t *testing.T) {
	for _, row := range []struct {
		raw    string
		reason *Error
	}{
		{"GET /\r\n", errRequestLine},
		{"SSH-2.0-OpenSSH_9.2\r\n", errRequestLine},
		{"GET / HTTP/3.0\r\nHost", errOldNew},
		{"GET / HTTP/1.1\rHost: a\r\r", errBareCR},
		{"GET / HTTP/1.1\r\nHost: a\r\r", errBareCR},
		{"GET / HTTP/1.1\r\nHost: a\nX", errBareLF},
	} {
		if got, want := readRequests(t, row.raw), refusal(row.reason); got != want {
			t.Errorf("%q:\ngot  %swant %s", row.raw, got, want)
		}
	}
}

func TestRequestFieldsAreRefused(t *testing.T) {
	for _, row := range []struct {
		fields string
		reason *Error
	}{
		{"Host: a\nX: b\r\n", errBareLF},
		{"Host: a\r\nX: b\n", errBareLF},
		{"Host: a\r\n\n", errBareLF},
		{"Host: a\rX: b\r\n", errBareCR},
		{"Host: a\r\nX: b\r\r\n", errBareCR},
		{"Host: a\r\nX\r: b\r\n", errBareCR},
		{"Host: a\r\n\rX: b\r\n", errBareCR},
		{"Host: a\r\nX: b\r\n c\r\n", errFold},
		{"Host: a\r\nX: b\r\n\tc: d\r\n", errFold},
		{" Host: a\r\n", errFold},
		{"Host : a\r\n", errColon},
		{"Host\t: a\r\n", errColon},
		{"Host: a\r\nContent-Length : 3\r\n", errColon},
		{": a\r\n", errNoName},
		{"Host: a\r\nX\r\n", errName},
		{"Host: a\r\nX\x00: b\r\n", errName},
		{"Host: a\r\nX(: b\r\n", errName},
		{"Host: a\r\nX\x80: b\r\n", errName},
		{"Host: a\r\n\"X\": b\r\n", errName},
		{"Host: a\r\nX: \x00\r\n", errValue},
		{"Host: a\r\nX: b\x01c\r\n", errValue},
		{"Host: a\r\nX: b\x1fc and some more of it\r\n", errValue},
		{"Host: a\r\nX: some more of it\x7f\r\n", errValue},
		{"Host: a\r\nX: \v\r\n", errValue},

		{"", errNoHost},
		{"Host: a\r\nHost: a\r\n", errHosts},
		{"Host: a\r\nhost: b\r\n", errHosts},
		{"Host:\r\n", errHost},
		{"Host: a b\r\n", errHost},
		{"Host: a,b\r\n", errHost},
		{"Host: .\r\n", errHost},
		{"Host: .a\r\n", errHost},
		{"Host: a..b\r\n", errHost},
		{"Host: a..:80\r\n", errHost},
		{"Host: a/b\r\n", errHost},
		{"Host: u@a\r\n", errHost},
		{"Host: a:80:80\r\n", errHost},
		{"Host: a:x\r\n", errHost},
		{"Host: a:65536\r\n", errHost},
		{"Host: a:000080\r\n", errHost},
		{"Host: :80\r\n", errHost},
		{"Host: a%2e\r\n", errHost},
		{"Host: \xfc\r\n", errHost},
		{"Host: http://a\r\n", errHost},
		{"Host: [::1\r\n", errHost},
		{"Host: []\r\n", errHost},
		{"Host: [1.2.3.4]\r\n", errHost},
		{"Host: [fe80::1%25eth0]\r\n", errHost},
		{"Host: [fe80::1%eth0]\r\n", errHost},
		{"Host: [::1]x\r\n", errHost},
		{"Host: [v1.a]\r\n", errHost},
		{"Host: ::1\r\n", errHost},
		{"Host: " + strings.Repeat("a", 262) + "\r\n", errHost},

		{"Host: a\r\nContent-Length:\r\n", errLength},
		{"Host: a\r\nContent-Length: -1\r\n", errLength},
		{"Host: a\r\nContent-Length: +1\r\n", errLength},
		{"Host: a\r\nContent-Length: 1 1\r\n", errLength},
		{"Host: a\r\nContent-Length: 1, 1\r\n", errLength},
		{"Host: a\r\nContent-Length: 0x1\r\n", errLength},
		{"Host: a\r\nContent-Length: 1_0\r\n", errLength},
		{"Host: a\r\nContent-Length: \xb2\r\n", errLength},
		{"Host: a\r\nContent-Length: 9223372036854775808\r\n", errLength},
		{"Host: a\r\nContent-Length: 9999999999999999999\r\n", errLength},
		{"Host: a\r\nContent-Length: 00000000000000000001\r\n", errLength},
		{"Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n", errLengthTwice},
		{"Host: a\r\nContent-Length: 1\r\ncontent-length: 2\r\n", errLengthTwice},
		{"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", errCodingAndCL},
		{"Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", errCodingAndCL},
		{"Host: a\r\nTransfer-Encoding:\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: gzip\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: identity\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: xchunked\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: chunked,\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: chunked;q=1\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: \"chunked\"\r\n", errCoding},
		{"Host: a\r\nTransfer-Encoding: \vchunked\r\n", errValue},
		{"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", errCodingTwice},
		{"Host: a\r\nTransfer-Encoding : chunked\r\n", errColon},

		{"Host: a\r\nConnection: a b\r\n", errOption},
		{"Host: a\r\nConnection: " + strings.Repeat("a,", 33) + "\r\n", errManyOptions},
		{"Host: a\r\n" + strings.Repeat("Connection: close\r\n", 5), errManyOptions},
		{"Host: a\r\nExpect: 100-continue, x\r\n", errExpect},
		{"Host: a\r\nExpect:\r\n", errExpect},
		{"Host: a\r\n" + strings.Repeat("X: y\r\n", 100), errFields},
	} {
		want := refusal(row.reason)
		if got := readRequests(t, "GET / HTTP/1.1\r\n"+row.fields+"\r\n"); got != want {
			t.Errorf("%q:\ngot  %swant %s", row.fields, got, want)
		}
	}
}

func TestHTTP10RequestsHaveTheirOwnRules(t *testing.T) {
	for _, row := range []struct {
		raw    string
		reason *Error
	}{
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errCodingIn10},
		{"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", errHosts},
		{"GET / HTTP/1.0\r\nHost:\r\n\r\n", errHost},
		{"GET http:///x HTTP/1.0\r\n\r\n", errHost},
		{"TRACE / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", errTrace},
		{"TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errTrace},
		{"GET http://u@a/ HTTP/1.0\r\n\r\n", errHost},
	} {
		if got, want := readRequests(t, row.raw), refusal(row.reason); got != want {
			t.Errorf("%q:\ngot  %swant %s", row.raw, got, want)
		}
	}
	got := readRequests(t, "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx")
	if strings.Contains(got, " expect") {
		t.Errorf("HTTP/1.0 got to wait for 100 (Continue):\n%s", got)
	}
}

func TestConnectionCannotRemoveEndToEndFields(t *testing.T) {
	raw := "GET / HTTP/1.1\r\nHost: a\r\n" +
		"Connection: host, x-forwarded-for, X-Forwarded-Port, forwarded, cookie, authorization, x-request-id\r\n" +
		"Connection: close, X-Mine, sec-websocket-key, Content-Type\r\nconnection: x-real-ip\r\n" +
		"X-Forwarded-For: 1\r\nX-Forwarded-Port: 1\r\nForwarded: x\r\nCookie: y\r\nAuthorization: z\r\nX-Request-Id: 1\r\n" +
		"Sec-WebSocket-Key: k\r\nContent-Type: t\r\nX-Real-IP: 1\r\n" +
		"X-MINE: 1\r\nX-Mine-Not: 1\r\nx-mine: 2\r\n" +
		"Keep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n" +
		"Proxy-Authorization: x\r\nTrailer: x\r\n\r\n"
	var req Request
	if err := NewReader(strings.NewReader(raw), Limits{}).ReadRequest(&req); err != nil {
		t.Fatal(err)
	}
	var hops []string
	for _, f := range req.Fields {
		if f.Hop {
			hops = append(hops, string(f.Name))
		}
	}
	got := strings.Join(hops, " ")
	want := "Connection Connection connection X-MINE x-mine Keep-Alive Proxy-Connection TE Upgrade HTTP2-Settings Proxy-Authorization"
	if got != want {
		t.Errorf("got hop-by-hop %s\nwant %s", got, want)
	}
	if !req.Close || req.WebSocket {
		t.Errorf("got close=%t websocket=%t, want true, false", req.Close, req.WebSocket)
	}
}

func TestOnlyAValidHandshakeIsAWebSocket(t *testing.T) {
	const (
		upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
		key     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		version = "Sec-WebSocket-Version: 13\r\n"
	)
	for _, row := range []struct{ raw, want string }{
		{"GET / HTTP/1.1\r\n" + upgrade + key + version, "websocket"},
		{"GET / HTTP/1.1\r\n" + upgrade + key + version + "Content-Length: 0\r\n", "websocket"},
		{"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n", "plain"},
		{"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n" + key + version, "plain"},
		{"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket/13\r\n" + key + version, "plain"},
		{"GET / HTTP/1.1\r\n" + upgrade + "Upgrade: websocket\r\n" + key + version, "plain"},
		{"GET / HTTP/1.1\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n" + key + version, "plain"},
		{"GET / HTTP/1.1\r\nConnection: upgrade\r\n" + key + version, "plain"},
		{"POST / HTTP/1.1\r\n" + upgrade + key + version, outcome(errWSMethod)},
		{"GET / HTTP/1.0\r\n" + upgrade + key + version, outcome(errWSMethod)},
		{"GET / HTTP/1.1\r\n" + upgrade + key + version + "Content-Length: 1\r\n", outcome(errWSBody)},
		{"GET / HTTP/1.1\r\n" + upgrade + key + version + "Transfer-Encoding: chunked\r\n", outcome(errWSBody)},
		{"GET / HTTP/1.1\r\n" + upgrade + version, outcome(errWSKey)},
		{"GET / HTTP/1.1\r\n" + upgrade + key + key + version, outcome(errWSKey)},
		{"GET / HTTP/1.1\r\n" + upgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ-==\r\n" + version, outcome(errWSKey)},
		{"GET / HTTP/1.1\r\n" + upgrade + "Sec-WebSocket-Key: SGVsbG8sIHdvcmxkIQ==\r\n" + version, outcome(errWSKey)},
		{"GET / HTTP/1.1\r\n" + upgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ0=\r\n" + version, outcome(errWSKey)},
		{"GET / HTTP/1.1\r\n" + upgrade + key, outcome(errWSNoVersion)},
		{"GET / HTTP/1.1\r\n" + upgrade + key + version + version, outcome(errWSNoVersion)},
		{"GET / HTTP/1.1\r\n" + upgrade + key + "Sec-WebSocket-Version: 8\r\n", outcome(errWSVersion)},
		{"GET / HTTP/1.1\r\n" + upgrade + key + "Sec-WebSocket-Version: 013\r\n", outcome(errWSVersion)},
	} {
		var req Request
		got := "plain"
		err := NewReader(strings.NewReader(row.raw+"Host: a\r\n\r\n"), Limits{}).ReadRequest(&req)
		switch {
		case err != nil:
			got = outcome(err)
		case req.WebSocket:
			got = "websocket"
		}
		if got != row.want {
			t.Errorf("%q: got %s, want %s", row.raw, got, row.want)
		}
	}
}

func TestEachPartAcceptsOnlyItsBytes(t *testing.T) {
	const (
		alnum  = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		tchars = alnum + "!#$%&'*+-.^_`|~"
	)
	for c := range 256 {
		b := string([]byte{byte(c)})
		for _, row := range []struct {
			raw  string
			want bool
		}{
			{"G" + b + " / HTTP/1.1\r\nHost: a\r\n\r\n", strings.Contains(tchars, b)},
			{"GET /" + b + "x HTTP/1.1\r\nHost: a\r\n\r\n", c > ' ' && c < 0x7f && b != "#" && b != "%" && b != "\\"},
			{"GET /?" + b + " HTTP/1.1\r\nHost: a\r\n\r\n", c > ' ' && c < 0x7f && b != "#"},
			{"GET / HTTP/1.1\r\nHost: a\r\nx" + b + ": y\r\n\r\n", strings.Contains(tchars, b) || b == ":"},
			{"GET / HTTP/1.1\r\nHost: a\r\nx: 1" + b + "2345678\r\n\r\n", c == '\t' || c >= ' ' && c != 0x7f},
			{"GET / HTTP/1.1\r\nHost: a" + b + "\r\n\r\n", strings.Contains(alnum+"-._~: \t", b)},
		} {
			var req Request
			err := NewReader(strings.NewReader(row.raw), Limits{}).ReadRequest(&req)
			if (err == nil) != row.want {
				t.Errorf("%q: got %v, want accepted %t", row.raw, err, row.want)
			}
		}
	}
}

func TestOnlyIdempotentRequestsWithoutBodyAreRepeatable(t *testing.T) {
	for method, want := range map[string]bool{"GET": true, "HEAD": true, "PUT": true, "POST": false, "PATCH": false, "get": false} {
		if got := (&Request{Method: []byte(method)}).Repeatable(); got != want {
			t.Errorf("%s: got %v, want %v", method, got, want)
		}
	}
	if (&Request{Method: []byte("PUT"), Framing: Length, Length: 1}).Repeatable() {
		t.Error("a request with a body is repeatable")
	}
}
