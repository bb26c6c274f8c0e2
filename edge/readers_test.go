package edge

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReadersHaveATokenAndMetricsAnAddress of their own; the token is read again when its file
// changes.
func TestReadersHaveATokenAndMetricsAnAddress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "reader.token")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("whoever-may-look")
	e, err := open(parsed(t, dir, `
listen: [{address: "127.0.0.1:0"}]
admin: {address: "127.0.0.1:0", token_file: given.token, read_token_file: reader.token, metrics_address: "127.0.0.1:0"}
state_dir: state
pool: {hosts: [{name: a, address: "127.0.0.1:1"}]}
`), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, e)
	client := http.Client{Timeout: time.Minute}
	status := func(method, url, token, body string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	admin, metrics := "http://"+e.sockets.Admin.Addr().String(), "http://"+e.sockets.Metrics.Addr().String()
	for _, row := range []struct {
		method, url, token, body string
		want                     int
	}{
		{"GET", admin + "/v1/hosts", "whoever-may-look", "", 200},
		{"PATCH", admin + "/v1/hosts/a", "whoever-may-look", `{"state":"drain"}`, 403},
		{"GET", admin + "/metrics", "", "", 401},
		{"GET", metrics + "/metrics", "", "", 200},
		{"GET", metrics + "/v1/hosts", adminSecret, "", 404},
	} {
		if got := status(row.method, row.url, row.token, row.body); got != row.want {
			t.Errorf("%s %s: got %d, want %d", row.method, row.url, got, row.want)
		}
	}
	put("another-who-may-look")
	for end := time.Now().Add(time.Minute); status("GET", admin+"/v1/hosts", "another-who-may-look", "") != 200; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("another token isn't taken")
		}
	}
	if got := status("GET", admin+"/v1/hosts", "whoever-may-look", ""); got != 401 {
		t.Errorf("the token before gets %d", got)
	}
}
