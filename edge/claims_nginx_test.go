package edge

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokenring/balancer"
	"tokenring/nginxcfg"
)

// runNginx runs a balancer with the configuration that is imported from an nginx.conf, as runLines
// does.
func runNginx(t *testing.T, text string) *imported {
	t.Helper()
	result, err := nginxcfg.Import("nginx.conf", []byte(text), nginxcfg.Options{Backend: "ide", Files: os.DirFS("/")})
	if err != nil {
		t.Fatal(err)
	}
	return runYAML(t, t.TempDir(), result.YAML)
}

// namedServers starts hosts that answer with their names, and returns a line server for each.
func namedServers(t *testing.T, names ...string) string {
	t.Helper()
	var lines strings.Builder
	for field := range strings.Lines(hostsNamed(t, names...)) {
		words := strings.Fields(field) // server NAME ADDRESS …
		fmt.Fprintf(&lines, "    server %s;\n", words[2])
	}
	return lines.String()
}

// claimNginxRing: each token is where nginx's ring has it, also if a server is down in the file.
func claimNginxRing(t *testing.T) {
	lines := namedServers(t, "a", "b", "c")
	lines = strings.Replace(lines, ";", " weight=3;", 1) + "    server 127.0.0.1:1 down;\n"
	r := runNginx(t, "upstream ide {\n    hash $arg_token consistent;\n"+lines+"}\nserver { location / { proxy_pass http://ide; } }")
	var hosts []balancer.Host
	byName := map[string]string{}
	for i, h := range r.cfg.Pool.Hosts {
		byName[h.Address] = string(rune('a' + i))
		hosts = append(hosts, balancer.Host{Name: h.Address, Weight: h.Weight}) // as nginx has them
	}
	b, err := balancer.NewBuilder(balancer.Config{Policy: balancer.PolicyKetama})
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Build(hosts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		token := fmt.Sprint("token-", i)
		want := byName[table.Hosts()[table.Owner([]byte(token))].Name]
		if got := r.name("/?token="+token, ""); got != want {
			t.Errorf("%s: got host %q, want %q", token, got, want)
		}
	}
}

// nginxClaims is an nginx.conf with what claimNginx asks for.
const nginxClaims = `
upstream ide { hash $arg_token consistent; %[1]s }
upstream api { %[2]s }
server {
    listen 127.0.0.1:1;
    server_name ide.example.com;
    error_page 502 /sorry.html;
    location = /sorry.html { root %[4]s; }
    location / { proxy_pass http://ide; add_header X-Edge lb; limit_req zone=z; auth_basic "Who?"; }
    location = /gone { return 410 "gone"; add_header X-Gone yes always; add_header X-Kept yes; }
    location = /app { return 302 /app/; }
    location /files/ { root /srv; }
    location /fcgi/ { fastcgi_pass 127.0.0.1:9000; }
    location /odd/ { proxy_pass http://$arg_host; }
    location /api/ { proxy_pass http://api; if ($arg_x) { return 403; } }
    location /api/secret/ { proxy_pass http://api; deny 127.0.0.0/8; }
    location /api/mixed/ { proxy_pass http://api; satisfy any; deny all; }
    location ~ \.php$ { return 404; }
    location /closed/ { return 444; }
    location /dead/ { proxy_pass %[3]s; }
}
server { listen 127.0.0.1:1; server_name old.example.com *.old.example.com; return 301 https://ide.example.com$request_uri; }
server { listen 127.0.0.1:1; server_name bare.example.com; location /api/ { proxy_pass http://api; } }
server { listen 127.0.0.1:1; server_name ~^x; return 410; }
`

// claimNginx: names, locations, returns, pools, access and fields are those of the file, and what
// lb doesn't have has the consequence that the note says.
func claimNginx(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sorry.html"), []byte("<p>sorry, {status}</p>"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runNginx(t, fmt.Sprintf(nginxClaims, namedServers(t, "one"), namedServers(t, "a1"), "http://127.0.0.1:2", dir))
	r.wait("the host of the pool is checked", func() bool { return r.name("/api/", "") == "a1" })
	for _, row := range []struct {
		host, target string
		status       int
		name         string // of the host that answers
	}{
		{"ide.example.com", "/", 200, "one"},
		{"other.example.com", "/", 200, "one"},
		{"ide.example.com", "/x.php", 200, "one"}, // no regular expressions
		{"xyz.example.com", "/", 200, "one"},      // in names neither
		{"ide.example.com", "/gone", 410, ""},
		{"ide.example.com", "/gone/", 200, "one"},
		{"other.example.com", "/app", 302, ""},
		{"ide.example.com", "/files/a", 404, ""},
		{"ide.example.com", "/fcgi/a", 404, ""},
		{"ide.example.com", "/odd/?host=127.0.0.1", 404, ""},
		{"ide.example.com", "/api/v1?x=1", 200, "a1"},
		{"ide.example.com", "/api?x=1", 200, "a1"},
		{"ide.example.com", "/apis", 200, "one"},
		{"ide.example.com", "/api/secret/", 403, ""},
		{"ide.example.com", "/api/mixed/", 200, "a1"},
		{"ide.example.com", "/closed/", 421, ""},
		{"ide.example.com", "/dead/", 503, ""},
		{"old.example.com", "/a?token=t", 301, ""},
		{"a.old.example.com", "/api/", 301, ""},
		{"bare.example.com", "/api/", 200, "a1"},
		{"bare.example.com", "/", 404, ""},
	} {
		resp := r.raw(0, "GET "+row.target+" HTTP/1.1\r\nHost: "+row.host+"\r\n\r\n")
		if name := resp.Header.Get("X-Name"); resp.StatusCode != row.status || name != row.name {
			t.Errorf("%s%s: got %s of %q, want %d of %q", row.host, row.target, resp.Status, name, row.status, row.name)
		}
		if row.status == http.StatusGone && (resp.Header.Get("X-Gone") != "yes" || resp.Header.Get("X-Kept") != "") {
			t.Errorf("%s%s: got the fields %v", row.host, row.target, resp.Header)
		}
		if to := resp.Header.Get("Location"); row.status == http.StatusFound && to != "http://ide.example.com:1/app/" {
			t.Errorf("%s%s: redirected to %s", row.host, row.target, to)
		}
		if row.status == http.StatusMovedPermanently && resp.Header.Get("Location") != "https://ide.example.com"+strings.TrimSuffix(row.target, "?token=t") {
			t.Errorf("%s%s: redirected to %s", row.host, row.target, resp.Header.Get("Location"))
		}
		if edge := resp.Header.Get("X-Edge"); row.name == "one" && edge != "lb" {
			t.Errorf("%s%s: X-Edge is %q, want lb", row.host, row.target, edge)
		}
	}
	if !strings.Contains(r.yaml, "sorry.html") {
		t.Errorf("the page of 502 is missing:\n%s", r.yaml)
	}
}
