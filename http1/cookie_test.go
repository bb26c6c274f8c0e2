package http1

import (
	"strings"
	"testing"
)

func TestValuesAreThoseOfTheFirstFieldOrCookieOfTheName(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: x\r\nX-Token: h\r\nCookie: IDE=upper; aide=c; z;\t ide=first\r\nx-token: second\r\nCookie: ide=second; empty=\r\n\r\n"
	var r Request
	if err := NewReader(strings.NewReader(head), Limits{}).ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x-TOKEN": "h", "X-Toke": "", "host": "x"} {
		if got := string(FieldValue(r.Fields, name)); got != want {
			t.Errorf("field %s: got %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"ide": "first", "IDE": "upper", "z": "", "empty": "", "none": ""} {
		if got := string(CookieValue(r.Fields, name)); got != want {
			t.Errorf("cookie %s: got %q, want %q", name, got, want)
		}
	}
}

func TestCutCookieReturnsEachCookieInTurn(t *testing.T) {
	var got []string
	for rest, more := []byte("a=b;c; \td=e=f;;=g"), true; more; {
		var name, value []byte
		name, value, rest, more = CutCookie(rest)
		got = append(got, string(name)+"|"+string(value))
	}
	if got, want := strings.Join(got, " "), "a|b | d|e=f | |g"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
