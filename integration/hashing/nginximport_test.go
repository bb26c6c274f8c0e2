//go:build integration

package hashing

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestAnImportFromNginxChangesNothing takes each nginx.conf of testdata/nginxcfg that says "side by
// side", runs nginx with it and lb with what lb import makes of it, in front of the same hosts, and
// wants the same answers of both, and the same requests at the hosts, but for the known differences.
func TestAnImportFromNginxChangesNothing(t *testing.T) {
	if out, err := exec.Command("nginx", "-v").CombinedOutput(); err != nil {
		t.Fatalf("nginx -v: %v: install Debian's nginx-light\n%s", err, out)
	}
	binary := built(t)
	files, err := filepath.Glob("../../testdata/nginxcfg/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	for _, file := range files {
		story, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(story.Comment), "side by side\n") {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			newPlace(t, story, binary, "nginx.conf").compareNginx(met)
		})
	}
	for _, d := range differences {
		if !met[d.name] {
			t.Errorf("a difference that nothing has shown: %s, because %s", d.name, d.why)
		}
	}
}

// An exchange is a request as the hosts have seen it, and its answer as the client has.
type exchange struct {
	Status   int
	Fields   http.Header // of the answer
	Seen     seen
	Location string
}

// nginxRequests are those that both get, beside those with tokens.
var nginxRequests = []struct{ method, url, fields, body string }{
	{"GET", "http://ide.example.com/a?x=1", "", ""},
	{"GET", "http://ide.example.com/a?x=1&token=t", "", ""},
	{"GET", "https://other.example.com/?token=t", "", ""},
	{"POST", "https://ide.example.com/save?token=t", "", "text"},
	{"POST", "https://ide.example.com/save?token=t", "", strings.Repeat("x", 65536)},
	{"POST", "https://ide.example.com/save?token=t", "", strings.Repeat("x", 65537)},
	{"HEAD", "https://ide.example.com/?token=t", "", ""},
	{"GET", "https://ide.example.com/?token=t", "X-Debug: 1\nX-Real-IP: 192.0.2.1\nX-Other: 2\nCookie: a=b", ""},
	{"GET", "https://ide.example.com/?token=t", "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http", ""},
	{"GET", "https://ide.example.com/api", "", ""},
	{"GET", "https://ide.example.com/api/x", "", ""},
	{"GET", "https://ide.example.com/api/v2/x?token=t", "", ""},
	{"GET", "https://ide.example.com/api/v2/up", "", ""},
	{"GET", "https://ide.example.com/api/v2/up/?token=t", "", ""},
	{"GET", "https://ide.example.com/static/a.js", "", ""},
	{"GET", "https://ide.example.com/hooks/a", "", ""},
	{"GET", "https://ide.example.com/gone", "", ""},
	{"GET", "https://ide.example.com/gone/?token=t", "", ""},
	{"GET", "https://ide.example.com/app", "", ""},
	{"GET", "https://ide.example.com/old/a?x=1", "", ""},
	{"POST", "https://ide.example.com/moved/a?x=1", "", "text"},
	{"GET", "https://ide.example.com/moved/a?x=1&token=t", "", ""},
	{"GET", "https://ide.example.com/staff/a", "", ""},
	{"GET", "https://ide.example.com/closed/a", "", ""},
	{"GET", "https://ide.example.com/private/a", "", ""},
	{"GET", "https://ide.example.com/private/a", "Authorization: Basic ZXZhOndyb25n", ""},
	{"GET", "https://ide.example.com/private/a", "Authorization: Basic ZXZhOmNvcnJlY3QgaG9yc2U=", ""},
	{"GET", "https://api.example.com/x", "", ""},
	{"GET", "https://API.example.com/x", "", ""},
	{"GET", "https://b.api.example.com/x", "", ""},
	{"GET", "https://a.api.example.com/x", "", ""},
	{"GET", "https://old.example.com/x?y=1", "", ""},
}

// compareNginx runs both, asks both, and compares.
func (p *place) compareNginx(met map[string]bool) {
	ours, oursAt := p.movedNginx()
	p.runLB(ours)
	theirs, theirsAt := p.movedNginx()
	p.runNginx(theirs, theirsAt)
	nginx, lb := clientTo(theirsAt), clientTo(oursAt)
	defer nginx.CloseIdleConnections()
	defer lb.CloseIdleConnections()
	same := func(method, url, fields, body string) (host string) {
		a, b := sides(p.exchange(nginx, method, url, fields, body), p.exchange(lb, method, url, fields, body), met)
		if diff := cmp.Diff(a, b); diff != "" {
			p.t.Errorf("%s %s %s: -nginx +lb\n%s", method, url, fields, diff)
		}
		return a.Fields.Get("X-Host")
	}
	hosts := map[string]bool{}
	for _, key := range randomKeys() {
		hosts[same("GET", "https://ide.example.com"+ideURL+"?x=1&token="+key, "", "")] = true
		if p.t.Failed() {
			return
		}
	}
	if len(hosts) < 2 {
		p.t.Errorf("nginx uses %d hosts", len(hosts))
	}
	for _, r := range nginxRequests {
		same(r.method, r.url, r.fields, r.body)
	}
}

// exchange sends a request.
func (p *place) exchange(client *http.Client, method, url, fields, body string) exchange {
	p.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(fields) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	e := exchange{Status: resp.StatusCode, Fields: resp.Header, Location: resp.Header.Get("Location")}
	if method != http.MethodHead && e.Fields.Get("X-Host") != "" {
		if err := json.NewDecoder(resp.Body).Decode(&e.Seen); err != nil {
			p.t.Fatalf("%s %s: %v", method, url, err)
		}
	}
	if e.Fields.Get("X-Host") != "" {
		e.Fields.Del("Content-Length") // of what the host has seen
	}
	e.Fields.Del("Location")
	e.Fields.Del("Date")
	return e
}

// clientTo returns a client that connects to an address of loopback, whatever name it asks for, and
// doesn't follow redirects.
func clientTo(ip string) *http.Client {
	return &http.Client{
		Timeout:       startLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				_, port, _ := net.SplitHostPort(address)
				n, _ := strconv.Atoi(port)
				return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(10000+n)))
			},
		},
	}
}

var (
	nginxListens = regexp.MustCompile(`(?m)\blisten (\d+)`)
	ofMachine    = regexp.MustCompile(`(?m)^(user|pid|events) .*$`)
)

// movedNginx returns the configuration with listeners and hosts as moved does.
func (p *place) movedNginx() (text, ip string) {
	ip = ownLoopback()
	text = nginxListens.ReplaceAllStringFunc(p.cfg, func(line string) string {
		port, _ := strconv.Atoi(strings.TrimPrefix(line, "listen "))
		return fmt.Sprintf("listen %s:%d", ip, 10000+port)
	})
	return strings.NewReplacer("10.0.0.", "127.77.0.", ":4000", fmt.Sprintf(":%d", p.hostPort), " /etc/", " "+p.dir+"/etc/").Replace(text), ip
}

// runNginx runs nginx until the test ends. Everything that it writes is in its directory.
func (p *place) runNginx(cfg, ip string) {
	p.t.Helper()
	var own strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&own, "\n%s_temp_path %s;", kind, kind)
	}
	cfg = ofMachine.ReplaceAllString(cfg, "")
	cfg = strings.Replace(cfg, "http {", "http {\naccess_log off;"+own.String(), 1)
	cfg = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\n" + cfg
	said := p.start("nginx", "-p", p.dir, "-c", p.write("theirs.conf", []byte(cfg)))
	p.await("nginx answers", said, func() bool {
		conn, err := net.Dial("tcp", ip+":10443")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
