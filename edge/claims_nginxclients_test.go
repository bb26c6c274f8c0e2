package edge

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// claimNginxPasswords: a location with auth_basic asks for a password, and no other one does. A file
// with a password that isn't hashed by bcrypt is refused.
func claimNginxPasswords(t *testing.T) {
	const hashed = "$2y$04$JAElNUh17MJ5aq5n37VbW.DHUmgxtOWuZiGGquAs7UWvvdolHzxG6" // "correct horse"
	file := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte("eva:"+hashed+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runNginx(t, "upstream ide { hash $arg_token consistent; "+namedServers(t, "one")+`}
server {
    auth_basic "Who?";
    location / { proxy_pass http://ide; }
    location /asks/ { proxy_pass http://ide; auth_basic_user_file `+file+`; }
    location /mixed/ { proxy_pass http://ide; auth_basic_user_file `+file+`; satisfy any; allow 127.0.0.1; deny all; }
    location /odd/ { proxy_pass http://ide; auth_basic_user_file /etc/$host; }
    location /off/ { proxy_pass http://ide; auth_basic_user_file `+file+`; auth_basic off; }
}`)
	for target, want := range map[string]int{"/": 200, "/asks/": 401, "/mixed/": 401, "/odd/": 200, "/off/": 200} {
		if resp := r.get(target, ""); resp.StatusCode != want {
			t.Errorf("%s: got %s, want %d", target, resp.Status, want)
		} else if challenge := resp.Header.Get("WWW-Authenticate"); want == 401 && challenge != `Basic realm="Who?", charset="UTF-8"` {
			t.Errorf("%s: got the challenge %q", target, challenge)
		}
	}
	if resp := r.get("/asks/", "Authorization: Basic ZXZhOmNvcnJlY3QgaG9yc2U=\r\n"); resp.StatusCode != http.StatusOK {
		t.Errorf("with the password: got %s", resp.Status)
	}
}

// claimNginxLimits: a token has as many requests at once as burst allows, and a source so many
// connections.
func claimNginxLimits(t *testing.T) {
	r := runNginx(t, `
limit_conn_zone $binary_remote_addr zone=perip:10m;
limit_req_zone $arg_token zone=pertoken:10m rate=1r/m;
limit_req_zone $server_name zone=all:1m rate=1r/m;
upstream ide { hash $arg_token consistent; `+namedServers(t, "one")+`}
server {
    location / {
        proxy_pass http://ide;
        limit_conn perip 5;
        limit_req zone=pertoken burst=2;
        limit_req zone=all;
        limit_req_status 503;
    }
}`)
	idle := r.send(0, "")
	for i, want := range []int{200, 200, 200, 429} {
		if resp := r.answer(idle, "GET /?token=a HTTP/1.1\r\nHost: ide.example.com\r\n\r\n"); resp.StatusCode != want {
			t.Errorf("request %d of a token: got %s, want %d", i, resp.Status, want)
		} else if want == 429 && resp.Header.Get("Retry-After") == "" {
			t.Error("429 has no Retry-After")
		} else if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		conn := r.send(0, "")
		if resp := r.answer(conn, "GET /?token=b HTTP/1.1\r\nHost: ide.example.com\r\n\r\n"); resp.StatusCode >= 500 {
			t.Errorf("another token: got %s", resp.Status)
		}
	}
	sixth := r.send(0, "")
	if err := sixth.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := sixth.Read(make([]byte, 1)); n > 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("the sixth connection: got %d bytes and %v, want it closed", n, err)
	}
}
