package rewrite

import (
	"strings"
	"testing"

	"tokenring/http1"
	"tokenring/proxy/fields"
)

// read parses a request's head.
func read(t *testing.T, head string) *http1.Request {
	t.Helper()
	var r http1.Request
	if err := http1.NewReader(strings.NewReader(head), http1.Limits{}).ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestHeadsOfRequests(t *testing.T) {
	const spoofed = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Request-Id: mine\r\n"
	for _, row := range []struct {
		what   string
		head   string
		change func(*Request)
		want   string
	}{
		{
			"a plain one", "GET http://ide.example/a?b=%zz HTTP/1.1\r\nHost: ide.example\r\nConnection: X-Secret\r\nX-Secret: 1\r\nX-Kept: 1\r\n\r\n", nil,
			"GET /a?b=%zz HTTP/1.1\r\nHost: ide.example\r\nX-Kept: 1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ide.example\r\nX-Request-Id: id-1\r\n\r\n",
		},
		{
			"a stranger's claims", "GET / HTTP/1.1\r\nHost: a\r\n" + spoofed + "\r\n", func(r *Request) { r.TLS = true },
			"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\nX-Request-Id: id-1\r\n\r\n",
		},
		{
			"a trusted client's claims", "GET / HTTP/1.1\r\nHost: a\r\n" + spoofed + "\r\n", func(r *Request) { r.Trusted = true },
			"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7, 192.0.2.1\r\nX-Request-Id: id-1\r\n\r\n",
		},
		{
			"a trusted client's claims, which Connection must not name (RFC 9110 §7.6.1)",
			"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For, x-forwarded-proto, X-Forwarded-Host\r\n" + spoofed + "\r\n", func(r *Request) { r.Trusted = true },
			"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7, 192.0.2.1\r\nX-Request-Id: id-1\r\n\r\n",
		},
		{
			"HTTP/1.0 without a Host", "GET /? HTTP/1.0\r\n\r\n", func(r *Request) { r.Authority = "10.0.0.1:4000" },
			"GET /? HTTP/1.1\r\nHost: 10.0.0.1:4000\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Request-Id: id-1\r\n\r\n",
		},
		{
			"a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", nil,
			"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Request-Id: id-1\r\nContent-Length: 3\r\n\r\n",
		},
		{
			"the port of the listener, and changes",
			"GET / HTTP/1.1\r\nHost: a\r\nX-Debug: 1\r\nx-edge: old\r\n\r\n", func(r *Request) {
				r.Vars = fields.Vars{Client: "192.0.2.1", ListenerPort: "8443"}
				r.Change = fields.Compile(fields.Changes{Remove: []string{"X-Debug", "x-forwarded-proto"}, Set: fields.Values{{Name: "Host", Text: "b"}, {Name: "X-Edge", Text: "{client}"}}, Add: fields.Values{{Name: "X-More", Text: "1"}}})
			},
			"GET / HTTP/1.1\r\nHost: b\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 8443\r\nX-Request-Id: id-1\r\nX-Edge: 192.0.2.1\r\nX-More: 1\r\n\r\n",
		},
		{
			"a trusted client's port", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Port: 444\r\n\r\n", func(r *Request) { r.Trusted, r.Vars.ListenerPort = true, "443" },
			"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Port: 444\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Request-Id: id-1\r\n\r\n",
		},
		{
			"a hidden cookie", "GET / HTTP/1.1\r\nHost: a\r\nCookie: lb=x; a=b\r\nCookie: lb=y\r\n\r\n", func(r *Request) { r.HiddenCookie = "lb" },
			"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Request-Id: id-1\r\n\r\n",
		},
	} {
		r := Request{Request: read(t, row.head), ID: []byte("id-1"), Client: "192.0.2.1"}
		if row.change != nil {
			row.change(&r)
		}
		if got := string(r.Append(nil)); got != row.want {
			t.Errorf("%s: got\n%s\nwant\n%s", row.what, got, row.want)
		}
	}
}

func TestMaxForwardsIsCountedDown(t *testing.T) {
	for _, row := range []struct {
		method, value string
		last          bool
		want          string
	}{
		{"OPTIONS", "2", false, "1"},
		{"TRACE", "1", false, "0"},
		{"TRACE", "0", true, "0"},
		{"OPTIONS", "0", true, "0"},
		{"OPTIONS", "many", false, "many"},
		{"GET", "0", false, "0"}, // it has no meaning for other methods
	} {
		r := read(t, row.method+" / HTTP/1.1\r\nHost: a\r\nMax-Forwards: "+row.value+"\r\n\r\n")
		last := CountDown(r)
		if got := string(http1.FieldValue(r.Fields, "Max-Forwards")); last != row.last || got != row.want {
			t.Errorf("%s %s: got %v and %q, want %v and %q", row.method, row.value, last, got, row.last, row.want)
		}
	}
}

func TestWritingHeadsAllocatesNothing(t *testing.T) {
	r := read(t, "GET /a?b HTTP/1.1\r\nHost: a\r\nCookie: lb=x; a=b\r\nAccept: */*\r\n\r\n")
	resp := http1.Response{Status: 200, Framing: http1.Length, Length: 5, Fields: []http1.Field{field("Server", "ide")}}
	buf, id := make([]byte, 0, 1024), []byte("id-1")
	appendDate(nil, nil) // the text of this second
	n := testing.AllocsPerRun(1000, func() {
		request := Request{Request: r, ID: id, Client: "192.0.2.1", HiddenCookie: "lb"}
		request.Append(buf)
		answer := Response{Response: &resp, ID: id, ClientMinor: 1}
		answer.Append(buf)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
