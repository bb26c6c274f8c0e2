package localreply

import (
	"testing"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/proxy/hashkey"
)

func TestRedirectsGoToHTTPSWithoutTheKey(t *testing.T) {
	keys := hashkey.Rules{{Source: balancer.KeyQuery, Name: "token"}}
	plain, keeping := Redirect{Port: "443", Keys: keys}, Redirect{Port: "8443", KeepKey: true, Keys: keys}
	for _, row := range []struct {
		redirect           Redirect
		method, host, path string
		query              string // with its "?"
		status             int    // 0 for none
		want               string
	}{
		{plain, "GET", "ide.example", "/a", "?x=1&y=%20", 301, "https://ide.example/a?x=1&y=%20"},
		{plain, "HEAD", "ide.example:80", "/", "?", 301, "https://ide.example/?"},
		{plain, "POST", "[::1]:80", "/a", "", 308, "https://[::1]/a"},
		{plain, "POST", "ide.example", "/a", "?token=secret-key&b=c", 307, "https://ide.example/a?b=c"},
		{plain, "GET", "ide.example", "/", "?token=secret-key", 307, "https://ide.example/"},
		{plain, "GET", "ide.example", "/", "?x=secret-key&b=%32", 307, "https://ide.example/?b=%32"},
		{plain, "GET", "ide.example", "/a;token=secret-key", "", 0, ""},
		{plain, "GET", "ide.example", "/secret-key", "", 0, ""},
		{plain, "GET", "", "/a", "", 0, ""},
		{plain, "OPTIONS", "ide.example", "*", "", 0, ""},
		{keeping, "GET", "ide.example", "/a", "?token=secret-key", 307, "https://ide.example:8443/a?token=secret-key"},
		{keeping, "GET", "ide.example", "/a;token=secret-key", "?b", 301, "https://ide.example:8443/a;token=secret-key?b"},
	} {
		r := http1.Request{Method: []byte(row.method), Host: []byte(row.host), Path: []byte(row.path), HasQuery: row.query != ""}
		if r.HasQuery {
			r.Query = []byte(row.query[1:])
		}
		status, location, ok := row.redirect.Answer(&r, []byte("secret-key"))
		if status != row.status || location != row.want || ok != (row.status != 0) {
			t.Errorf("%s %s%s%s: got %d %q, want %d %q", row.method, row.host, row.path, row.query, status, location, row.status, row.want)
		}
	}
}
