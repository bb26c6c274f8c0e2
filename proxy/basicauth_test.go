package proxy

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokenring/proxy/basicauth"
	"tokenring/proxy/routing"
)

// users returns eva, whose password is "correct horse".
func users(t *testing.T) *basicauth.Users {
	t.Helper()
	file := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte("eva:$2y$04$JAElNUh17MJ5aq5n37VbW.DHUmgxtOWuZiGGquAs7UWvvdolHzxG6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := basicauth.Open(&basicauth.Config{File: file, Realm: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// authorized returns a request with a user and a password.
func authorized(request, pair string) string {
	return strings.Replace(request, "Host:", "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(pair))+"\r\nHost:", 1)
}

func TestRoutesWithUsersWantAPassword(t *testing.T) {
	h := newHost(t, "a").on("/admin/ws", accept(echo))
	l := start(t, func(l *lab) {
		l.cfg.Routes = []routing.Config{{PathPrefix: "/admin", Pool: routing.MainPool, Users: users(t)}}
	}, h)
	l.ask(get("/page"), 200)
	for _, request := range []string{get("/admin/1"), authorized(get("/admin/1"), "eva:wrong"), authorized(get("/admin/1"), "bob:correct horse"), upgrade("/admin/ws", "")} {
		if a := l.ask(request, 401); a.Header.Get("WWW-Authenticate") != `Basic realm="admin", charset="UTF-8"` {
			t.Errorf("WWW-Authenticate is %q", a.Header.Get("WWW-Authenticate"))
		}
	}
	if e := l.logged("/admin/1"); e["end"] != endNoPassword || e["reason"] == "" {
		t.Errorf("the log says %v", e)
	}
	if strings.Contains(h.received(), "/admin") {
		t.Error("a request without a password has reached the host")
	}
	l.ask(authorized(get("/admin/2"), "eva:correct horse"), 200)
	if !strings.Contains(h.received(), "Authorization: Basic") {
		t.Error("the host hasn't got the field")
	}
	w := l.dial().send(authorized(upgrade("/admin/ws", ""), "eva:correct horse"))
	w.opened()
	w.ping()
	if strings.Contains(l.log.String(), "eva") || strings.Contains(l.log.String(), "horse") {
		t.Error("a user is in the log")
	}
}

func TestRoutesWithUsersWantAPasswordOfHTTP2(t *testing.T) {
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Routes = []routing.Config{{PathPrefix: "/admin", Pool: routing.MainPool, Users: users(t)}}
	}, newHost(t, "a"))
	client := l.h2client()
	for password, want := range map[string]int{"correct horse": 200, "wrong": 401} {
		r, _ := http.NewRequest(http.MethodGet, "https://"+l.addr+"/admin", nil)
		r.SetBasicAuth("eva", password)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || (resp.Header.Get("WWW-Authenticate") != "") != (want == 401) {
			t.Errorf("%s: got %d, %v", password, resp.StatusCode, resp.Header)
		}
	}
}
