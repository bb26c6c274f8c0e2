package main

import (
	"context"
	"crypto/tls"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokenring/demo"
	"tokenring/testlog"
)

// secret is a token that occurs in no other text.
const secret = "MARKEDxq7z"

// spill returns the outputs of a running demo in which the token must not be, by name.
func (d *runningDemo) spill(dir string) map[string]string {
	places := map[string]string{"standard output": d.out.String(), "standard error": d.errOut.String()}
	for _, path := range []string{"/v1/status", "/v1/hosts", "/v1/hosts/ide-1", "/v1/ring", "/v1/pool-key", "/metrics", "/", "/healthz", "/readyz"} {
		_, places["GET "+path] = d.api("GET", path, "")
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			b, _ := os.ReadFile(path)
			places["file "+path] = string(b)
		}
		return nil
	})
	return places
}

// folder returns the folder of the demo's files, which has its admin token.
func (d *runningDemo) folder() string {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(os.TempDir(), "lb-demo-*", "admin.token"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, file := range files {
		if token, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(token)) == d.token {
			return filepath.Dir(file)
		}
	}
	d.t.Fatal("the demo's folder isn't found")
	return ""
}

// rawExchange sends bytes over TLS. It returns the bytes that come back until the
// connection ends, or within half a second.
func (d *runningDemo) rawExchange(request string) string {
	d.t.Helper()
	conn, err := tls.Dial("tcp", d.listen, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.WriteString(conn, request)
	b, _ := io.ReadAll(conn)
	return string(b)
}

// TestTheTokenAppearsNowhere sends a marked token through every error path, and
// looks for it in everything that the balancer has written.
func TestTheTokenAppearsNowhere(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--no-shell")
	host := "Host: " + d.listen + "\r\n"
	ws := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	answers := map[string]string{}
	for _, request := range []string{
		"GET /whoami?token=" + secret + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"GET /" + secret + "?token=" + secret + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"GET /%3Ftoken%3D" + secret + " HTTP/1.1\r\n" + host + "Accept: text/html\r\nConnection: close\r\n\r\n",
		"GET /%253Ftoken%253D" + secret + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"GET /;token=" + secret + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"GET /?token=" + secret + "\x00 HTTP/1.1\r\n" + host + "\r\n",
		"GET /?token=" + secret + " HTTP/1.1\r\nHost: a\r\nHost: " + secret + "\r\n\r\n",
		"GET /?token=" + secret + " HTTP/9.9\r\n" + host + "\r\n",
		"GET /?token=" + secret + strings.Repeat("a", 20000) + " HTTP/1.1\r\n" + host + "\r\n",
		"GET /?token=" + secret + " HTTP/1.1\r\n" + host + "X-A: " + secret + strings.Repeat("a", 40000) + "\r\n\r\n",
		"GET /?token=" + secret + " HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /upload?token=" + secret + " HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"POST /upload?token=" + secret + " HTTP/1.1\r\n" + host + "Content-Length: 100\r\n\r\n" + secret,
		"CONNECT " + secret + ":443 HTTP/1.1\r\n" + host + "\r\n",
		"GET http://" + secret + "/?token=" + secret + " HTTP/1.1\r\n" + host + "\r\n",
		"GET /environment/websocket?token=" + secret + " HTTP/1.1\r\n" + host + ws + "Sec-WebSocket-Key: " + secret + "\r\n\r\n",
		"GET /nowhere?token=" + secret + " HTTP/1.1\r\n" + host + ws + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
		"GET /environment/websocket?mode=echo&token=" + secret + " HTTP/1.1\r\n" + host + ws + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
		"\x16\x03\x01" + secret,
	} {
		answers["answer to "+strings.ReplaceAll(request, secret, "…")] = d.rawExchange(request)
	}
	for _, body := range []string{
		`{"token":"` + secret + `"}`, `{"token":["` + secret + `"]}`, `{"token":"` + secret, `{"` + secret + `":1}`, secret,
	} {
		_, answers["explain"] = d.api("POST", "/v1/explain", body)
		if strings.Contains(answers["explain"], secret) {
			t.Errorf("explain answers with the token: %s", answers["explain"])
		}
	}
	_, answers["PATCH a host of that name"] = d.api("PATCH", "/v1/hosts/ide-1", `{"state":"`+secret+`"}`)
	for _, host := range []string{"1", "2", "3"} { // and again with failing hosts, and with a frozen ring
		d.press("k" + host)
		answers["while host "+host+" dies"] = d.rawExchange("GET /whoami?token=" + secret + " HTTP/1.1\r\n" +
			"Host: x\r\nConnection: close\r\n\r\n")
	}
	d.eventually("the ring freezes", func() bool { _, s := d.api("GET", "/v1/status", ""); return strings.Contains(s, `"frozen":true`) })
	for range 3 {
		d.whoami(secret)
	}
	for place, text := range d.spill(d.folder()) {
		answers[place] = text
	}
	for place, text := range answers {
		if strings.Contains(text, secret) && !strings.HasPrefix(place, "answer to GET /whoami") {
			t.Errorf("the token is in: %s\n%.2000s", place, text)
		}
	}
	if lines := strings.Count(d.errOut.String(), "path="); lines < 10 {
		t.Errorf("only %d access lines: this test looks in the wrong place\n%s", lines, d.errOut.String())
	}
}

// TestPlainListenerNeverRedirectsWithTheToken: the query of a redirect is
// sent without encryption, and browsers keep it in their history.
func TestPlainListenerNeverRedirectsWithTheToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, err := demo.WriteFiles(dir, 0, 0, "0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "tls: true}\n", "tls: true}\n  - {address: \"127.0.0.1:0\", redirect_https: true}\n", 1) +
		"log: {level: info}\n"
	text = strings.Replace(text, "  secret_file: pool.key\n", "  secret_file: pool.key\n  hosts: [{name: ide-1, address: \""+ownLoopback()+":4000\"}]\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut testlog.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- run(ctx, []string{"run", "-c", file}, eofReader{}, &out, &errOut) }()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	location := ""
	for deadline := time.Now().Add(time.Minute); location == "" && time.Now().Before(deadline); {
		select {
		case code := <-ended:
			t.Fatalf("lb run exits with %d: %s", code, errOut.String())
		case <-time.After(20 * time.Millisecond):
		}
		addr := listensAt(errOut.String(), "listening", false)
		if addr == "" {
			continue
		}
		resp, err := client.Get("http://" + addr + "/a?token=" + secret + "&b=c")
		if err == nil {
			location = resp.Header.Get("Location")
			resp.Body.Close()
		}
	}
	if location != "https://"+listensAt(errOut.String(), "listening", true)+"/a?b=c" {
		t.Errorf("redirected to %q, want https, the path, and the query without the token", location)
	}
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("lb run exits with %d after it was stopped", code)
	}
	if all := out.String() + errOut.String(); strings.Contains(all, secret) {
		t.Errorf("the token is in the log: %s", all)
	}
	if !strings.Contains(out.String(), `"path":"/a"`) {
		t.Errorf("no access line on standard output: %s", out.String())
	}
}
