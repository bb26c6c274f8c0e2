package edge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// claimRoutes: what rules of a frontend do to requests, and where those go that none is for.
func claimRoutes(t *testing.T) {
	const rules = `  monitor-uri /up
  acl api path_beg /api
  acl api path_end .api
  http-request deny deny_status 410 if { path /gone }
  http-request return status 202 string text if { path /told }
  redirect prefix https://ide.example.com if { hdr(host) old.example.com }
  redirect location /elsewhere if { path_end .old }
  use_backend api if api
  use_backend other if { path /other }
  use_backend nowhere if { path /nowhere }
  use_backend ide if { src 192.0.2.1 }`
	r := runLines(t, cfgLines{
		front:   rules,
		servers: hostsNamed(t, "one") + "backend api\n  balance leastconn\n" + hostsNamed(t, "a1", "a2") + "backend other\n  balance random\n" + hostsNamed(t, "o1", "o2"),
	})
	for _, row := range []struct {
		target, host string
		status       int
		location     string
	}{
		{"/up", "ide.example.com", 200, ""},
		{"/gone", "ide.example.com", 410, ""},
		{"/told", "ide.example.com", 202, ""},
		{"/a?token=secret&b=1", "old.example.com", 302, "https://ide.example.com/a?b=1"},
	} {
		resp := r.raw(0, "GET "+row.target+" HTTP/1.1\r\nHost: "+row.host+"\r\n\r\n")
		if location := resp.Header.Get("Location"); resp.StatusCode != row.status || location != row.location || resp.Header.Get("X-Name") != "" {
			t.Errorf("%s: got %s to %q, want %d to %q", row.target, resp.Status, location, row.status, row.location)
		}
	}
	for _, target := range []string{"/", "/a.api", "/nowhere", "/a.old", "/?token=t"} {
		if name := r.name(target, ""); name != "one" {
			t.Errorf("%s: got host %q", target, name)
		}
	}
	r.wait("the hosts of the pool are checked", func() bool {
		a, b := r.name("/api", ""), r.name("/api", "")
		return a != "" && b != "" && a != b
	})
	if a, b := r.name("/api", ""), r.name("/api", ""); a == b || a == "one" || b == "one" {
		t.Errorf("got hosts %q and %q of the pool, want them in turn", a, b)
	}
	if a, b := r.name("/api?token=t", ""), r.name("/api?token=t", ""); a == b {
		t.Errorf("two requests of a token got host %q, want both hosts in turn", a)
	}
	r.wait("balance random: both hosts serve in turn", func() bool {
		a, b := r.name("/other", ""), r.name("/other", "")
		return a != "" && b != "" && a != b
	})
	claimFields(t)
	claimUnmatched(t)
	claimMaps(t)
}

// claimMaps: each line of a map of host names becomes a route.
func claimMaps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts.map")
	if err := os.WriteFile(file, []byte("# names\napi.example.com api\nide.example.com ide\nx.example.com nowhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	result := importLines(t, cfgLines{
		front:   "  use_backend %[req.hdr(host),lower,map(" + file + ",ide)]",
		servers: hostsNamed(t, "one") + "backend api\n" + hostsNamed(t, "a1"),
	}, os.DirFS("/"))
	r := runYAML(t, t.TempDir(), result.YAML)
	named := func(host string) string {
		return r.raw(0, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n").Header.Get("X-Name")
	}
	r.wait("the pool of the map is checked", func() bool { return named("API.example.com:80") == "a1" })
	for _, host := range []string{"ide.example.com", "x.example.com", "other.example.com"} {
		if name := named(host); name != "one" {
			t.Errorf("%s: got host %q", host, name)
		}
	}
}

// claimUnmatched: without a default_backend, a request that no rule is for gets 404, if routes can
// say for which requests there are rules.
func claimUnmatched(t *testing.T) {
	for _, row := range []struct {
		condition string
		status    int
	}{
		{"{ path /a }", 404},
		{"{ path /a } or { src 192.0.2.1 }", 200},
	} {
		r := runLines(t, cfgLines{front: "  use_backend ide if " + row.condition, servers: hostsNamed(t, "one"), noDefault: true})
		if name := r.name("/a", ""); name != "one" {
			t.Errorf("%s: got host %q", row.condition, name)
		}
		if resp := r.get("/b", ""); resp.StatusCode != row.status {
			t.Errorf("%s: got %s, want %d", row.condition, resp.Status, row.status)
		}
	}
}

// claimFields: rules that change a field of all requests or answers do so in lb.
func claimFields(t *testing.T) {
	host := newRecorder(t, "HTTP/1.1 200 OK\r\nServer: ide\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok")
	r := runLines(t, cfgLines{
		front: "  http-request set-header X-Real-IP %[src]\n  http-request del-header X-Debug\n  reqadd X-Old:\\ 1\n" +
			"  http-response del-header Server\n  rspadd X-Edge:\\ lb",
		back:    "  http-request set-header X-Pool ide",
		servers: host.one("one"),
	})
	h := r.get("/", "X-Real-IP: 192.0.2.1\r\nX-Debug: 1\r\n").Header
	if h.Get("Server") != "" || h.Get("X-Edge") != "lb" || h.Get("X-Kept") != "yes" {
		t.Errorf("the client got %v", h)
	}
	requests, _ := host.got()
	for field, want := range map[string]bool{"X-Real-IP: 127.0.0.1\r\n": true, "X-Old: 1\r\n": true, "X-Pool: ide\r\n": true, "X-Debug": false, "192.0.2.1": false} {
		if strings.Contains(requests[0], field) != want {
			t.Errorf("the host got %q: %t, want %t:\n%s", field, !want, want, requests[0])
		}
	}
}
