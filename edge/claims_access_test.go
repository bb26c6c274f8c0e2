package edge

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// claimAccess: rules that turn clients away by their networks become access of listeners, which closes
// connections, or of routes, which answers 403.
func claimAccess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.lst")
	if err := os.WriteFile(file, []byte("# loopback\n127.0.0.0/8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{
		"tcp-request connection reject if { src -f " + file + " }",
		"http-request deny if !{ src 192.0.2.0/24 }",
	} {
		r := runLines(t, cfgLines{front: "  " + rule, servers: hostsNamed(t, "one")})
		if resp, err := http.Get("http://" + r.at[0] + "/"); err == nil {
			resp.Body.Close()
			t.Errorf("%s: got %s, want a closed connection", rule, resp.Status)
		}
	}
	r := runLines(t, cfgLines{
		front: `  http-request allow if { src 192.0.2.1 }
  http-request deny deny_status 404 if { path_beg /admin }
  http-request deny if { path /own } !{ src 127.0.0.0/8 }`,
		servers: hostsNamed(t, "one"),
	})
	for target, want := range map[string]int{"/admin": 403, "/admin/x": 403, "/own": 200, "/": 200} {
		if resp := r.get(target, ""); resp.StatusCode != want {
			t.Errorf("%s: got %s, want %d", target, resp.Status, want)
		}
	}
	claimPasswords(t)
}

// claimPasswords: who is in a userlist gets in by the password, whatever it was hashed by, if lb can read it.
func claimPasswords(t *testing.T) {
	dir := t.TempDir()
	result := importLines(t, cfgLines{
		front: "  acl known http_auth(staff)\n  http-request auth realm Staff if { path_beg /admin } !known",
		servers: hostsNamed(t, "one") + `userlist staff
  group ops users max
  user eva insecure-password open
  user max password $2y$04$JAElNUh17MJ5aq5n37VbW.DHUmgxtOWuZiGGquAs7UWvvdolHzxG6
  user old password $1$abc$def
`,
	}, nil)
	for _, p := range result.Passwords {
		text, err := p.Htpasswd()
		if err != nil || os.WriteFile(filepath.Join(dir, p.Name), text, 0o600) != nil {
			t.Fatal(err)
		}
	}
	r := runYAML(t, dir, result.YAML)
	for _, row := range []struct {
		user, password string
		status         int
	}{{"", "", 401}, {"eva", "open", 200}, {"eva", "shut", 401}, {"max", "correct horse", 200}, {"old", "", 401}} {
		req := httptest.NewRequest("GET", "/admin", nil)
		req.SetBasicAuth(row.user, row.password)
		if resp := r.get("/admin", "Authorization: "+req.Header.Get("Authorization")+"\r\n"); resp.StatusCode != row.status {
			t.Errorf("%q: got %s, want %d", row.user, resp.Status, row.status)
		}
	}
	if resp := r.get("/", ""); resp.StatusCode != 200 {
		t.Errorf("where none is asked for: got %s", resp.Status)
	}
}
