package edge

import (
	"net/http"
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
}
