package rewrite

import (
	"regexp"
	"testing"

	"tokenring/http1"
)

func TestAnswersAreFramedForTheClient(t *testing.T) {
	const date = "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n"
	for _, row := range []struct {
		what    string
		framing http1.Framing
		length  int64
		minor   int
		close   bool
		want    http1.Framing
		fields  string // behind the request's id
	}{
		{"a length", http1.Length, 5, 1, false, http1.Length, "Content-Length: 5\r\n"},
		{"chunks", http1.Chunked, -1, 1, false, http1.Chunked, "Transfer-Encoding: chunked\r\n"},
		{"chunks for HTTP/1.0", http1.Chunked, -1, 0, true, http1.UntilClose, "Connection: close\r\n"},
		{"the host's end", http1.UntilClose, -1, 1, false, http1.Chunked, "Transfer-Encoding: chunked\r\n"},
		{"no body", http1.NoBody, -1, 1, false, http1.NoBody, ""},
		{"an answer to HEAD", http1.NoBody, 7, 1, false, http1.NoBody, "Content-Length: 7\r\n"},
		{"the last answer", http1.Length, 0, 1, true, http1.Length, "Content-Length: 0\r\nConnection: close\r\n"},
	} {
		resp := http1.Response{Status: 200, Framing: row.framing, Length: row.length, Fields: []http1.Field{
			{Name: []byte("Date"), Value: []byte("Mon, 02 Jan 2006 15:04:05 GMT"), Kind: http1.KindDate},
			{Name: []byte("X-Private"), Value: []byte("1"), Hop: true},
			{Name: []byte("X-Request-Id"), Value: []byte("forged"), Kind: http1.KindXRequestID},
		}}
		r := Response{Response: &resp, ID: []byte("id-1"), ClientMinor: row.minor, ClientClose: row.close}
		head, framing := r.Append(nil)
		if want := "HTTP/1.1 200 OK\r\n" + date + "X-Request-Id: id-1\r\n" + row.fields + "\r\n"; string(head) != want || framing != row.want {
			t.Errorf("%s: got framing %v and\n%s\nwant %v and\n%s", row.what, framing, head, row.want, want)
		}
	}
}

func TestAnswersWithoutADateGetOne(t *testing.T) {
	r := Response{Response: &http1.Response{Status: 204}, ID: []byte("id-1"), ClientMinor: 1}
	head, _ := r.Append(nil)
	if !regexp.MustCompile(`\r\nDate: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n`).Match(head) {
		t.Errorf("got %s", head)
	}
}

func TestInterimAnswersAndUpgrades(t *testing.T) {
	fields := []http1.Field{field("Link", "</a>"), {Name: []byte("X-Private"), Value: []byte("1"), Hop: true}}
	if got, want := string(AppendInterim(nil, &http1.Response{Status: 103, Fields: fields})), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got := string(AppendUpgrade(nil, &http1.Response{Status: 101, Fields: fields, Upgrade: []byte("websocket")}, []byte("id-1"), nil, nil))
	if want := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nLink: </a>\r\nX-Request-Id: id-1\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBodiesFollowTheirFraming(t *testing.T) {
	trailers := []http1.Field{field("X-Sum", "1")}
	for framing, want := range map[http1.Framing]string{
		http1.Length:     "hello",
		http1.UntilClose: "hello",
		http1.Chunked:    "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	} {
		got := AppendEnd(AppendPiece(AppendPiece(nil, framing, []byte("hello")), framing, nil), framing, trailers)
		if string(got) != want {
			t.Errorf("%v: got %q, want %q", framing, got, want)
		}
	}
}
