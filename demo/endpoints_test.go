package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ask sends one request to a host without a listener.
func ask(t *testing.T, cfg HostConfig, req *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	cfg.Name = "ide-1"
	w := httptest.NewRecorder()
	NewHost(cfg).handler(t.Context()).ServeHTTP(w, req)
	return w
}

func get(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }

func TestWhoamiNamesHostAndRequest(t *testing.T) {
	req := get("/whoami?token=marked")
	req.Header.Set("X-Request-Id", "r-7")
	var got map[string]string
	body := ask(t, HostConfig{}, req).Body.String()
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got["host"] != "ide-1" || got["request_id"] != "r-7" || strings.Contains(body, "marked") {
		t.Errorf("got %s", body)
	}
}

func TestHealthzIsForEverybody(t *testing.T) {
	req := get("/healthz")
	req.Host = "10.0.0.1:4000"
	if w := ask(t, HostConfig{Shell: true}, req); w.Code != http.StatusOK {
		t.Errorf("got %d", w.Code)
	}
}

func TestBlobHasTheSizeAskedFor(t *testing.T) {
	for target, want := range map[string]int{"/blob?bytes=0": 0, "/blob?bytes=1": 1, "/blob?bytes=1000000": 1000000} {
		if w := ask(t, HostConfig{}, get(target)); w.Code != http.StatusOK || w.Body.Len() != want {
			t.Errorf("%s: %d, %d bytes", target, w.Code, w.Body.Len())
		}
	}
	for _, target := range []string{"/blob", "/blob?bytes=-1", "/blob?bytes=67108865", "/blob?bytes=x", "/slow?ms=60001", "/slow"} {
		if w := ask(t, HostConfig{}, get(target)); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", target, w.Code)
		}
	}
}

func TestUploadIsCountedAndSummed(t *testing.T) {
	body := strings.Repeat("tokenring", 5000)
	sum := sha256.Sum256([]byte(body))
	w := ask(t, HostConfig{}, httptest.NewRequest(http.MethodPost, "/upload", strings.NewReader(body)))
	var got struct {
		Bytes  int
		SHA256 string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Bytes != len(body) || got.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("got %+v", got)
	}
}

func TestPageKeepsTheTokenInTheBrowser(t *testing.T) {
	w := ask(t, HostConfig{}, get("/?token=marked"))
	body := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(body, "ide-1") || strings.Contains(body, "marked") {
		t.Errorf("%d %s", w.Code, body)
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	for _, inline := range []string{"<style", "style=", "onclick", "<script>"} {
		if strings.Contains(body, inline) {
			t.Errorf("the page has %s, which its policy forbids", inline)
		}
	}
	if strings.Contains(body, `id="stop"`) {
		t.Error("a stop button that does nothing")
	}
	if w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Error("links would tell the token")
	}
}

func TestEveryFileOfThePageIsServed(t *testing.T) {
	for name, kind := range map[string]string{
		"app.js": "text/javascript", "keys.js": "text/javascript", "parser.js": "text/javascript",
		"screen.js": "text/javascript", "view.js": "text/javascript", "style.css": "text/css",
	} {
		w := ask(t, HostConfig{}, get("/demo/"+name))
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", name, w.Code, w.Header().Get("Content-Type"))
		}
	}
	for _, target := range []string{"/demo/", "/demo/page.html", "/demo/..%2fpage.html", "/demo/nothing.js"} {
		if w := ask(t, HostConfig{}, get(target)); w.Code == http.StatusOK {
			t.Errorf("%s is served", target)
		}
	}
}

func TestStopButtonIsForTheHostsOwnPage(t *testing.T) {
	for _, row := range []struct {
		name, target, origin string
		want                 int
	}{
		{"own page", "/demo/stop?host=ide-1&token=a", "http://localhost:1", http.StatusAccepted},
		{"another host was meant", "/demo/stop?host=ide-2", "http://localhost:1", http.StatusConflict},
		{"another site", "/demo/stop?host=ide-1", "https://evil.example", http.StatusForbidden},
		{"no page at all", "/demo/stop?host=ide-1", "", http.StatusForbidden},
	} {
		stopped := 0
		req := httptest.NewRequest(http.MethodPost, "http://localhost:1"+row.target, nil)
		if row.origin != "" {
			req.Header.Set("Origin", row.origin)
		}
		w := ask(t, HostConfig{Stop: func() { stopped++ }}, req)
		if w.Code != row.want || (stopped == 1) != (row.want == http.StatusAccepted) {
			t.Errorf("%s: %d, stopped %d times", row.name, w.Code, stopped)
		}
	}
	req := httptest.NewRequest(http.MethodPost, "http://localhost:1/demo/stop?host=ide-1", nil)
	req.Header.Set("Origin", "http://localhost:1")
	if w := ask(t, HostConfig{}, req); w.Code != http.StatusNotFound {
		t.Errorf("no stop function: %d, want 404", w.Code)
	}
}
