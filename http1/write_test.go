package http1

import (
	"net/http"
	"strings"
	"testing"
)

func TestMessagesAreWritten(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	for _, row := range []struct{ got, want string }{
		{string(AppendRequestLine(b("x"), b("GET"), b("/a?b"))), "xGET /a?b HTTP/1.1\r\n"},
		{string(AppendStatusLine(nil, 404, b("Gone Fishing"))), "HTTP/1.1 404 Gone Fishing\r\n"},
		{string(AppendStatusLine(nil, 404, nil)), "HTTP/1.1 404 Not Found\r\n"},
		{string(AppendStatusLine(nil, 404, b(""))), "HTTP/1.1 404 \r\n"},
		{string(AppendStatusLine(nil, 299, nil)), "HTTP/1.1 299 \r\n"},
		{string(AppendField(nil, b("A"), b("b c"))), "A: b c\r\n"},
		{string(AppendFieldString(nil, "A", "")), "A: \r\n"},
		{string(AppendChunkHeader(nil, 255)), "ff\r\n"},
		{string(AppendLastChunk(b("x"), nil)), "x0\r\n\r\n"},
		{string(AppendLastChunk(nil, []Field{{Name: b("A"), Value: b("b")}, {Name: b("C"), Value: b("d"), Hop: true}})), "0\r\nA: b\r\n\r\n"},
		{AcceptKey(b("dGhlIHNhbXBsZSBub25jZQ==")), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, // RFC 6455 §1.3
	} {
		if row.got != row.want {
			t.Errorf("got %q, want %q", row.got, row.want)
		}
	}
}

func TestStatusTextsAreTheRegisteredOnes(t *testing.T) {
	renamed := map[int]string{413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
	for status, text := range statusTexts {
		want := http.StatusText(status)
		if name, ok := renamed[status]; ok { // RFC 9110 has new names for these
			want = name
		}
		if text != want {
			t.Errorf("%d: got %q, want %q", status, text, want)
		}
	}
	for _, status := range []int{400, 408, 413, 414, 417, 426, 431, 501, 502, 503, 504, 505} {
		if StatusText(status) == "" {
			t.Errorf("%d has no text", status)
		}
	}
	if got := StatusText(299); got != "" {
		t.Errorf("299: got %q, want none", got)
	}
}

func TestFoldingGoesNotBeyondLetters(t *testing.T) {
	if EqualFold([]byte("a^b"), "a~b") || EqualFold([]byte("\rx"), "-x") || !EqualFold([]byte("X-Y"), "x-y") {
		t.Error("folding goes beyond letters")
	}
}

func TestKindAndHopFollowFromTheFieldName(t *testing.T) {
	for _, row := range []struct {
		name string
		kind Kind
		hop  bool
	}{
		{"host", KindHost, false},
		{"HOST", KindHost, false},
		{"Hosts", KindOther, false},
		{"TE", KindTE, true},
		{"tE", KindTE, true},
		{"X-Forwarded-For", KindXForwardedFor, false},
		{"X-Forwarded-Server", KindXForwardedOther, false},
		{"X_Forwarded_For", KindOther, true},
		{"X_FORWARDED-port", KindOther, true},
		{"Content_Length", KindOther, true},
		{"Keep_Alive", KindOther, true},
		{"X_Mine", KindOther, false},
		{"_", KindOther, false},
		{"Host_" + strings.Repeat("x", 100), KindOther, false},
		{"X-Forwarded-", KindOther, false},
		{"Sec-WebSocket-Protocol", KindSecWebSocketOther, false},
		{"Sec-WebSocket-Accept", KindSecWebSocketAccept, false},
		{"X-Request-ID", KindXRequestID, false},
		{"Proxy-Connection", KindProxyConnection, true},
		{"Keep-Alive", KindKeepAlive, true},
		{"Lb-Lease", KindOther, true},
		{"Lb_Lease", KindOther, true},
		{"Trailer", KindTrailer, false},
		{"A-Name-Longer-Than-Any-That-Is-Known", KindOther, false},
	} {
		got := lookUp([]byte(row.name))
		if got.kind != row.kind || got.hop != row.hop {
			t.Errorf("%s: got kind %d hop %t, want %d %t", row.name, got.kind, got.hop, row.kind, row.hop)
		}
	}
}
