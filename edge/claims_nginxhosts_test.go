package edge

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokenring/tlsterm"
)

// claimNginxHostTLS: lb speaks TLS with the hosts of a pool beside the main one, if one line of
// nginx.conf does, asks them for the upstream's name, and trusts the authority of the file.
func claimNginxHostTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key, err := tlsterm.SelfSigned("secure")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts.pem"), cert, 0o600); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Name", tls.VersionName(r.TLS.Version)+" "+r.TLS.ServerName)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	r := runNginx(t, `
upstream ide { hash $arg_token consistent; `+namedServers(t, "one")+`}
upstream secure { server `+srv.Listener.Addr().String()+`; }
server {
    listen 127.0.0.1:1;
    proxy_ssl_trusted_certificate `+filepath.Join(dir, "hosts.pem")+`;
    proxy_ssl_verify on;
    location / { proxy_pass http://ide; }
    location /secure/ { proxy_pass https://secure; }
    location /secure/longer/ { proxy_pass https://secure; proxy_ssl_verify off; }
    location /plain/ { proxy_pass http://secure; }
}`)
	r.wait("the host of the pool is checked", func() bool { return r.name("/secure/", "") == "TLS 1.3 secure" })
	if strings.Contains(r.yaml, "verify: false") {
		t.Errorf("one line wants no certificates verified, and none are:\n%s", r.yaml)
	}
	if got := r.name("/plain/", ""); got != "TLS 1.3 secure" {
		t.Errorf("a pool with TLS, by a plain line: got %q", got)
	}
}

// claimNginxFull: a request goes past a host that is full, and gets 503 when all are.
func claimNginxFull(t *testing.T) {
	lines, busy := "", make(chan bool)
	for _, name := range []string{"a1", "a2"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/quick" {
				w.Header().Set("X-Name", name)
				return
			}
			select {
			case busy <- true:
			case <-r.Context().Done():
				return
			}
			<-r.Context().Done()
		}))
		t.Cleanup(srv.Close)
		lines += "server " + srv.Listener.Addr().String() + " max_conns=1;"
	}
	r := runNginx(t, "upstream ide { hash $arg_token consistent; "+namedServers(t, "one")+"}\nupstream api { "+lines+"}\n"+
		"server { location / { proxy_pass http://ide; } location /api/ { proxy_pass http://api; } }")
	const request = "GET /api/ HTTP/1.1\r\nHost: ide.example.com\r\n\r\n"
	if !strings.Contains(r.yaml, "queue: {length: 0, then: next}") {
		t.Fatalf("the import has written\n%s", r.yaml)
	}
	seen := map[string]bool{}
	r.wait("both hosts are checked", func() bool { seen[r.name("/api/quick", "")] = true; return seen["a1"] && seen["a2"] })
	for range 2 {
		conn := r.send(0, request)
		defer conn.Close()
		<-busy
	}
	if resp := r.raw(0, request); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with all hosts full: got %s", resp.Status)
	}
}
