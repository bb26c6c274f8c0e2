package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestHTTP2FinalAnswerAfterInterimAnswersIsTheHosts: with its status and its fields.
func TestHTTP2FinalAnswerAfterInterimAnswersIsTheHosts(t *testing.T) {
	hint := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	for final, want := range map[string]int{
		"HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 2\r\n\r\nno":             404,
		"HTTP/1.1 302 Found\r\nX-A: b\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n":   302,
		"HTTP/1.1 500 No\r\nX-A: b\r\nContent-Length: 0\r\n\r\n":                      500,
		"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": 502,
	} {
		for _, hints := range []int{1, 3} {
			h := newHost(t, "a").on("/t", says(strings.Repeat(hint, hints)+final, false))
			w := start(t, speaksH2(t), h).dialH2()
			id := w.get("/t")
			w.send(atOnce)
			got := w.reply(id)
			if got.status() != fmt.Sprint(want) || len(got.interim) != hints || got.end != "" {
				t.Errorf("%d hints and %d: got %s with %d interim answers", hints, want, got, len(got.interim))
			}
			if want != 502 && !slices.Contains(got.final.fields, "x-a: b") {
				t.Errorf("%d hints and %d: the fields are %q", hints, want, got.final.fields)
			}
		}
	}
}

// TestHTTP2FieldsOfTheHeadAreNoTrailers: even if the host's Trailer names them.
func TestHTTP2FieldsOfTheHeadAreNoTrailers(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nTrailer: X-T, Set-Cookie\r\nX-T: head\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 204 No Content\r\nTrailer: X-T\r\nX-T: head\r\n\r\n",
	} {
		l := start(t, speaksH2(t), newHost(t, "a").on("/t", says(answer, true)))
		a := l.do(l.h2client(), "GET", "/t", nil)
		for name, values := range a.Trailer {
			if len(values) > 0 {
				t.Errorf("%.15s: trailer %s: %v", answer, name, values)
			}
		}
		if a.Header.Get("X-T") != "head" || a.err != nil {
			t.Errorf("%.15s: got %v, %v", answer, a.Header, a.err)
		}
	}
}
