package admin

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// paths are all that there is, with the method to ask with and a body for it.
var paths = []struct{ method, path, body string }{
	{"GET", "/v1/status", ""},
	{"GET", "/v1/hosts", ""},
	{"GET", "/v1/hosts/ide-1", ""},
	{"PATCH", "/v1/hosts/ide-1", `{"state":"drain"}`},
	{"GET", "/v1/ring", ""},
	{"GET", "/v1/ring/history", ""},
	{"GET", "/v1/pool-key", ""},
	{"POST", "/v1/explain", `{"token":"alice"}`},
	{"POST", "/v1/whatif", `{"leave":["ide-2"]}`},
	{"GET", "/v1/openapi.json", ""},
	{"GET", "/v1/openapi.yaml", ""},
	{"GET", "/metrics", ""},
	{"GET", "/nowhere", ""},
}

func TestEverythingButHealthNeedsTheToken(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	for _, p := range paths {
		want := http.StatusOK
		if p.path == "/nowhere" {
			want = http.StatusNotFound
		}
		for _, c := range []struct {
			name   string
			fields []string
			want   int
		}{
			{"no token", []string{"Origin", "http://127.0.0.1:7000", "X-Lb-Dashboard", "1"}, http.StatusUnauthorized},
			{"wrong token", []string{"Authorization", "Bearer wrong"}, http.StatusUnauthorized},
			{"empty token", []string{"Authorization", "Bearer "}, http.StatusUnauthorized},
			{"another scheme", []string{"Authorization", "Basic " + adminToken}, http.StatusUnauthorized},
			{"a wrong token beside a cookie", append(signedIn(t, s), "Authorization", "Bearer wrong"), http.StatusUnauthorized},
			{"the token", []string{"Authorization", "Bearer " + adminToken}, want},
			{"the token, scheme in lower case", []string{"Authorization", "bearer " + adminToken}, want},
		} {
			s.signIns = newSignIns() // for more attempts than a person makes
			w := send(s, p.method, p.path, p.body, append([]string{"Content-Type", "application/json"}, c.fields...)...)
			if w.Code != c.want {
				t.Errorf("%s %s with %s: got %d %s, want %d", p.method, p.path, c.name, w.Code, w.Body, c.want)
			}
			if w.Code == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with %s: no WWW-Authenticate", p.method, p.path, c.name)
			}
		}
	}
}

func TestHealthNeedsNoToken(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	for _, path := range []string{"/healthz", "/readyz"} {
		for _, fields := range [][]string{nil, {"Host", "lb-1:7000"}, {"Authorization", "Bearer wrong"}} {
			if w := send(s, "GET", path, "", fields...); w.Code != http.StatusOK {
				t.Errorf("%s with %v: got %d", path, fields, w.Code)
			}
		}
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	for _, path := range []string{"/", "/healthz", "/v1/status", "/metrics", "/nowhere", "/assets/style.css"} {
		for _, w := range []http.Header{send(s, "GET", path, "").Header(), ask(s, "GET", path, "").Header()} {
			for name, want := range map[string]string{
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "no-referrer",
				"Cache-Control":           "no-store",
				"Content-Security-Policy": contentPolicy,
			} {
				if got := w.Get(name); got != want {
					t.Errorf("GET %s: %s: got %q, want %q", path, name, got, want)
				}
			}
		}
	}
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(contentPolicy, want) {
			t.Errorf("the content policy lacks %q", want)
		}
	}
}

func TestForeignNamesAreRefused(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	cookie := signedIn(t, s)
	for host, want := range map[string]int{
		"127.0.0.1:7000":          http.StatusOK,
		"127.0.0.1":               http.StatusOK,
		"[::1]:7000":              http.StatusOK,
		"localhost:7000":          http.StatusOK,
		"LOCALHOST.:7000":         http.StatusOK,
		"lb.localhost":            http.StatusOK,
		"lb-1.internal:7000":      http.StatusOK,
		"10.0.0.2:7000":           http.StatusOK,
		"evil.example:7000":       http.StatusMisdirectedRequest,
		"127.0.0.1.evil.example":  http.StatusMisdirectedRequest,
		"localhost.evil.example":  http.StatusMisdirectedRequest,
		"evillb-1.internal:7000":  http.StatusMisdirectedRequest,
		"lb-1.internal.evil:7000": http.StatusMisdirectedRequest,
		"":                        http.StatusMisdirectedRequest,
	} {
		if w := send(s, "GET", "/", "", append(slices.Clone(cookie), "Host", host)...); w.Code != want {
			t.Errorf("Host %q: got %d, want %d", host, w.Code, want)
		}
		if w := send(s, "GET", "/v1/status", "", "Host", host, "Authorization", "Bearer "+adminToken); w.Code != http.StatusOK {
			t.Errorf("Host %q with the token: got %d, want 200", host, w.Code)
		}
	}
}

// Calls that change something need more than the cookie, which a browser sends
// with whatever a page of another port of this host asks of us.
func TestCookieAloneChangesNothing(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	for _, c := range []struct {
		name string
		with []string
		want int
	}{
		{"the dashboard's script", nil, http.StatusOK},
		{"no Origin", []string{"Origin", ""}, http.StatusForbidden},
		{"Origin null", []string{"Origin", "null"}, http.StatusForbidden},
		{"another port", []string{"Origin", "http://127.0.0.1:8443"}, http.StatusForbidden},
		{"another scheme", []string{"Origin", "https://127.0.0.1:7000"}, http.StatusForbidden},
		{"another name", []string{"Origin", "http://evil.example"}, http.StatusForbidden},
		{"no header of the script", []string{"X-Lb-Dashboard", ""}, http.StatusForbidden},
		{"a page of the same site", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"a page of another site", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"the same origin", []string{"Sec-Fetch-Site", "same-origin"}, http.StatusOK},
	} {
		s.signIns = newSignIns()
		fields := append(signedIn(t, s), c.with...)
		if w := send(s, "PATCH", "/v1/hosts/ide-1", `{"state":"maint"}`, fields...); w.Code != c.want {
			t.Errorf("%s: got %d %s, want %d", c.name, w.Code, w.Body, c.want)
		}
	}
}

func TestPagesOfAnotherOriginCantReadByCookie(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	fields := signedIn(t, s)
	for site, want := range map[string]int{"same-origin": 200, "none": 200, "same-site": 401, "cross-site": 401} {
		if w := send(s, "GET", "/v1/hosts", "", append(slices.Clone(fields), "Sec-Fetch-Site", site)...); w.Code != want {
			t.Errorf("Sec-Fetch-Site %s: got %d, want %d", site, w.Code, want)
		}
	}
}
