package localreply

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"tokenring/http1"
)

// browser returns the request of a browser.
func browser(method string) *http1.Request {
	return &http1.Request{
		Method: []byte(method), Path: []byte("/secret-path"), Query: []byte("token=secret-key"), HasQuery: true,
		Fields: []http1.Field{{Name: []byte("Accept"), Value: []byte("text/html"), Kind: http1.KindAccept}},
	}
}

// TestPagesRetryWhereThatIsSafe: a 503, and not what would send a form again.
func TestPagesRetryWhereThatIsSafe(t *testing.T) {
	for _, row := range []struct {
		method string
		status int
		want   bool
	}{{"GET", 503, true}, {"POST", 503, false}, {"GET", 502, false}, {"GET", 404, false}} {
		fields, body := (*Pages)(nil).Answer(Page{Status: row.status, Detail: "why"}, browser(row.method), []byte("id"))
		script, meta := strings.Contains(body, "location.reload()"), strings.Contains(body, `http-equiv="refresh" content="`+value(fields, "Retry-After")+`"`)
		if script != row.want || meta != row.want {
			t.Errorf("%s, %d: script %t, meta %t; want %t in %s", row.method, row.status, script, meta, row.want, body)
		}
	}
}

// TestOnlyTheBuiltInScriptMayRun: the policy has the hashes of what is in the page.
func TestOnlyTheBuiltInScriptMayRun(t *testing.T) {
	fields, body := (*Pages)(nil).Answer(Page{Status: 503, Detail: "why"}, browser("GET"), []byte("id"))
	policy := value(fields, "Content-Security-Policy")
	for _, tag := range []string{"script", "style"} {
		inline := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(body, -1)
		if len(inline) != 1 {
			t.Fatalf("there are %d of %s", len(inline), tag)
		}
		sum := sha256.Sum256([]byte(inline[0][1]))
		if want := tag + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("%s is not in %s", want, policy)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
}

func TestPagesSayWhatIsExpected(t *testing.T) {
	for kind, want := range map[Kind]string{Plain: "Service Unavailable", Awaited: "Your machine is on its way", Maintenance: "Down for maintenance"} {
		if _, body := (*Pages)(nil).Answer(Page{Status: 503, Kind: kind}, browser("GET"), nil); !strings.Contains(body, "<h1>"+want+"</h1>") {
			t.Errorf("%d: there is no %s in %s", kind, want, body)
		}
	}
}

// TestHandshakesGetNoPage: a browser shows nobody what the answer to one contains.
func TestHandshakesGetNoPage(t *testing.T) {
	r := browser("GET")
	r.WebSocket = true
	if fields, _ := (*Pages)(nil).Answer(Page{Status: 503}, r, nil); value(fields, "Content-Type") != "application/json" {
		t.Errorf("got %s", value(fields, "Content-Type"))
	}
}

func TestNothingOfTheRequestIsInAPage(t *testing.T) {
	own := New(Config{HTML: Templates{{Name: TemplateDefault, Text: "{path}{query}{request_id}"}}})
	for _, pages := range []*Pages{nil, own} {
		if _, body := pages.Answer(Page{Status: 503, Detail: "why"}, browser("GET"), []byte("id")); strings.Contains(body, "secret") {
			t.Errorf("the request shows in %s", body)
		}
	}
}
