package localreply

import (
	"testing"

	"tokenring/http1"
)

func TestClientsGetWhatTheyPrefer(t *testing.T) {
	for _, row := range []struct {
		accept []string
		html   bool
	}{
		{[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, true}, // a browser
		{[]string{"application/json, text/plain, */*"}, false},                              // a program in one
		{[]string{"*/*"}, false}, // curl
		{nil, false},
		{[]string{"application/json, text/html"}, false}, // the first of equals
		{[]string{"text/html, application/json"}, true},
		{[]string{"text/html;q=0.5, application/json"}, false},
		{[]string{"application/json;q=0.5, text/html"}, true},
		{[]string{"application/json;q=0.5", "TEXT/HTML ; level=1 ; Q=0.7"}, true}, // several fields are one list
		{[]string{"text/html;q=0"}, false},
		{[]string{"text/html;q=NaN, text/htmlx"}, false},
	} {
		var fields []http1.Field
		for _, value := range row.accept {
			fields = append(fields, http1.Field{Name: []byte("Accept"), Value: []byte(value), Kind: http1.KindAccept})
		}
		if got := prefersHTML(fields); got != row.html {
			t.Errorf("%q: got %t, want %t", row.accept, got, row.html)
		}
	}
}
