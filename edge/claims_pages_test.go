package edge

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// claimPages: errors that lb answers itself have the pages of the file, without their heads, for those
// who ask for HTML, and its own otherwise.
func claimPages(t *testing.T) {
	dir := t.TempDir()
	const page = "<p>not yet</p>\n"
	for name, text := range map[string]string{"403.http": "HTTP/1.0 200 OK\r\nX-Page: 1\r\n\r\n" + page, "410.http": "HTTP/1.0 410 Gone\r\n\r\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := runLines(t, cfgLines{
		global: "http-errors site\n  errorfile 403 " + dir + "/403.http\n  errorfile 410 " + dir + "/410.http\n  errorfile 404 " + dir + "/404.http",
		front: "  errorfiles site 403 410\n  errorfile 405 /dev/null\n  errorfile 200 " + dir + "/403.http" + `
  http-request deny if { path /a }
  http-request deny deny_status 410 if { path /b }
  http-request deny deny_status 405 if { path /c }`,
		back:    "  errorloc 502 /oops",
		servers: hostsNamed(t, "one"),
	})
	for _, row := range []struct {
		path, accept string
		status       int
		says         string
	}{
		{"/a", "text/html", 403, page},
		{"/a", "application/json", 403, `"status":403`},
		{"/b", "text/html", 410, "<!doctype html>"},
		{"/c", "text/html", 405, "<!doctype html>"},
		{"/", "text/html", 200, "ok"},
	} {
		resp := r.get(row.path, "Accept: "+row.accept+"\r\n")
		body := make([]byte, resp.ContentLength)
		if _, err := io.ReadFull(resp.Body, body); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != row.status || !strings.Contains(strings.ToLower(string(body)), row.says) || resp.Header.Get("X-Page") != "" {
			t.Errorf("%s: got %s %v\n%s", row.path, resp.Status, resp.Header, body)
		}
		if row.says == page && string(body) != page {
			t.Errorf("got %q, want the page without its head", body)
		}
	}
}
