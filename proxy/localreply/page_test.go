package localreply

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"tokenring/http1"
)

// value returns the value of a field, "" if there is none.
func value(fields []http1.Field, name string) string { return string(http1.FieldValue(fields, name)) }

func TestBrowsersGetAPageAndOthersJSON(t *testing.T) {
	p := Page{Status: 503, Detail: `no host is <available> for "this" session`}
	for accept, html := range map[string]bool{
		"text/html,application/xhtml+xml,*/*;q=0.8": true, "*/*": false, "application/json": false, "": false,
	} {
		var request []http1.Field
		if accept != "" {
			request = []http1.Field{{Name: []byte("Accept"), Value: []byte(accept), Kind: http1.KindAccept}}
		}
		fields, body := (*Pages)(nil).Answer(p, &http1.Request{Fields: request}, []byte("id-<1>"))
		if html {
			if value(fields, "Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(body, "<!doctype html>") ||
				!strings.Contains(body, "<p>No host is &lt;available&gt; for &#34;this&#34; session.</p>") || !strings.Contains(body, "request id-&lt;1&gt;") {
				t.Errorf("%s: got %s %s", accept, value(fields, "Content-Type"), body)
			}
			continue
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil || value(fields, "Content-Type") != "application/json" {
			t.Errorf("%s: %v in %s %q", accept, err, value(fields, "Content-Type"), body)
		}
		for name, want := range map[string]any{"status": 503.0, "error": "Service Unavailable", "detail": p.Detail, "request_id": "id-<1>"} {
			if got[name] != want {
				t.Errorf("%s: %s is %v, want %v", accept, name, got[name], want)
			}
		}
	}
}

func TestPagesTellClientsWhatTheyCanDo(t *testing.T) {
	for status, want := range map[int]string{400: "|no-store|", 426: "|no-store|13", 502: "|no-store|", 504: "|no-store|"} {
		fields, _ := (*Pages)(nil).Answer(Page{Status: status, Detail: "why"}, &http1.Request{}, nil)
		got := value(fields, "Retry-After") + "|" + value(fields, "Cache-Control") + "|" + value(fields, "Sec-WebSocket-Version")
		if got != want {
			t.Errorf("%d: got %s, want %s", status, got, want)
		}
	}
}

// TestClientsDoNotAllComeBackAtTheSameMoment: unless the page says how long they are to wait.
func TestClientsDoNotAllComeBackAtTheSameMoment(t *testing.T) {
	after := func(p Page) string {
		fields, _ := (*Pages)(nil).Answer(p, &http1.Request{}, nil)
		return value(fields, "Retry-After")
	}
	seen := map[string]bool{}
	for range 200 {
		seen[after(Page{Status: 503})] = true
	}
	if want := map[string]bool{"2": true, "3": true, "4": true, "5": true}; !maps.Equal(seen, want) {
		t.Errorf("503: got %v, want %v", seen, want)
	}
	if got := after(Page{Status: 429, RetryAfter: 30}); got != "30" {
		t.Errorf("429: got %s", got)
	}
}
