package localreply

import (
	"testing"

	"github.com/goccy/go-yaml"

	"tokenring/http1"
)

func TestTemplatesAreChosenByKindThenStatusThenDefault(t *testing.T) {
	pages := New(Config{HTML: Templates{
		{Status: 503, Text: "busy"}, {Name: TemplateMaintenance, Text: "closed"}, {Name: TemplateDefault, Text: "other"},
	}})
	for _, row := range []struct {
		page Page
		want string
	}{
		{Page{Status: 503, Kind: Awaited}, "busy"},
		{Page{Status: 503, Kind: Maintenance}, "closed"},
		{Page{Status: 502}, "other"},
	} {
		if _, body := pages.Answer(row.page, browser("GET"), nil); body != row.want {
			t.Errorf("%v: got %s, want %s", row.page, body, row.want)
		}
	}
	some := New(Config{HTML: Templates{{Status: 503, Text: "busy"}}})
	if fields, body := some.Answer(Page{Status: 502}, browser("GET"), nil); body == "busy" || value(fields, "Content-Security-Policy") == "" {
		t.Errorf("502 isn't the built-in page: %s", body)
	}
}

func TestVariablesOfTemplatesAreEscaped(t *testing.T) {
	pages := New(Config{HTML: Templates{{Name: TemplateDefault, Text: "{status} {reason}: {detail} ({request_id}, {retry_after}) {other} a{color:red}"}}})
	fields, body := pages.Answer(Page{Status: 503, Detail: "why & <how>", RetryAfter: 7}, browser("GET"), []byte("<i>"))
	if want := "503 Service Unavailable: Why &amp; &lt;how&gt;. (&lt;i&gt;, 7) {other} a{color:red}"; body != want {
		t.Errorf("got %s, want %s", body, want)
	}
	if got := value(fields, "Content-Security-Policy"); got != "" {
		t.Errorf("an own page gets the policy %s, which its scripts and pictures don't have", got)
	}
	if _, body := pages.Answer(Page{Status: 404, Detail: "why"}, browser("GET"), nil); body != "404 Not Found: Why. (, ) {other} a{color:red}" {
		t.Errorf("without a wait: got %s", body)
	}
}

func TestOtherClientsGetTextIfTheyAreNotToGetJSON(t *testing.T) {
	no, yes := false, true
	fields, body := New(Config{JSON: &no}).Answer(Page{Status: 502, Detail: "why"}, &http1.Request{}, []byte("7"))
	if value(fields, "Content-Type") != "text/plain; charset=utf-8" || body != "502 Bad Gateway: why (request 7)\n" {
		t.Errorf("got %s %q", value(fields, "Content-Type"), body)
	}
	if New(Config{JSON: &yes}) != nil {
		t.Error("the default isn't the built-in pages")
	}
}

func TestTemplatesAreReadByStatusOrName(t *testing.T) {
	for text, want := range map[string]int{
		"{503: a.html, default: b.html, maintenance: c.html}": 3,
		"{200: a.html}":              -1,
		"{600: a.html}":              -1,
		"{error: a.html}":            -1,
		"{503: a.html, 503: b.html}": -1,
		"{503: [a]}":                 -1,
		"[a.html]":                   -1,
	} {
		var got Templates
		if err := yaml.Unmarshal([]byte(text), &got); (err != nil) != (want < 0) || err == nil && len(got) != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

func TestHeadsOfErrorFilesAreLeftOut(t *testing.T) {
	for file, want := range map[string]string{
		"<p>HTTP/1.0\n\nb": "<p>HTTP/1.0\n\nb",
		"HTTP/1.0 503 Busy\r\nContent-Type: text/html\r\n\r\na\n\nb": "a\n\nb",
		"HTTP/1.1 503 Busy\nContent-Type: text/html\n\nb":            "b",
		"HTTP/1.0 503 Busy\r\n\r\n":                                  "",
		"HTTP/1.0 503 Busy\r\nServer: a":                             "",
		"":                                                           "",
	} {
		if got := string(WithoutHead([]byte(file))); got != want {
			t.Errorf("%q: got %q, want %q", file, got, want)
		}
	}
}
