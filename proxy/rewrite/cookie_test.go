package rewrite

import (
	"slices"
	"strings"
	"testing"

	"tokenring/http1"
)

func field(name, value string) http1.Field {
	return http1.Field{Name: []byte(name), Value: []byte(value)}
}

func TestTheHiddenCookieIsRemoved(t *testing.T) {
	for _, row := range []struct{ before, after string }{
		{"lb=v; a=b; c=d", "a=b; c=d"}, // first
		{"a=b; lb=v; c=d", "a=b; c=d"}, // in the middle
		{"a=b; c=d; lb=v", "a=b; c=d"}, // last
		{"lb=v", ""},                   // only
		{"lb=v; lb=w", ""},             // twice
		{"lb=v; a=b; lb=w", "a=b"},     // around
		{"a=b", "a=b"},                 // none
		{"a=b;lb=v;c=d", "a=b;c=d"},    // without spaces
		{"a=b ;  c = d;e;; f=\"g h\";", "a=b ;  c = d;e;; f=\"g h\";"}, // others as they are
		{"a=b ; lb=v;  c = d;e;;", "a=b ;  c = d;e;;"},                 // and beside it
		{"lb=v; ", ""},         // no field for nothing
		{"lb=v;; a=b", "a=b"},  //
		{"lb=; a=b", "a=b"},    // an empty value
		{"lb=a=b; a=b", "a=b"}, // a value with "="
		{"lb; lba=1; alb=2; LB=3; a=lb=4", "lb; lba=1; alb=2; LB=3; a=lb=4"}, // others that look like it
	} {
		want := ""
		if row.after != "" {
			want = "Cookie: " + row.after + "\r\n"
		}
		f := field("Cookie", row.before)
		if got := string(appendOtherCookies(nil, &f, "lb")); got != want {
			t.Errorf("%q: got %q, want %q", row.before, got, want)
		}
	}
}

// FuzzOneCookieIsTakenOut: the cookie has gone, and all others are there, in
// their order.
func FuzzOneCookieIsTakenOut(f *testing.F) {
	for _, seed := range []string{"lb=v; a=b", "a=b;lb=v", "lb=v", ";;lb=;", " \t;lb=x", "a=b; c; lb=lb=lb"} {
		f.Add(seed)
	}
	others := func(list string) (all []string) {
		for pair := range strings.SplitSeq(list, ";") {
			if pair = strings.TrimLeft(pair, " \t"); pair != "" && !strings.HasPrefix(pair, "lb=") {
				all = append(all, pair)
			}
		}
		return all
	}
	f.Fuzz(func(t *testing.T, list string) {
		in := field("Cookie", list)
		got := string(appendOtherCookies(nil, &in, "lb"))
		if got == "" {
			if left := others(list); len(left) > 0 {
				t.Errorf("%q: %q are lost", list, left)
			}
			return
		}
		value := strings.TrimSuffix(strings.TrimPrefix(got, "Cookie: "), "\r\n")
		if hasCookie([]byte(value), "lb") || !slices.Equal(others(value), others(list)) {
			t.Errorf("%q became %q", list, value)
		}
	})
}

func TestRemovingACookieAllocatesNothing(t *testing.T) {
	f, buf := field("Cookie", "a=b; lb=v; c=d"), make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { appendOtherCookies(buf, &f, "lb") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
