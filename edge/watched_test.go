package edge

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokenring/proxy/affinity"
)

// A changing is a balancer that runs while its files change.
type changing struct {
	t   *testing.T
	dir string
	e   *Edge
}

// startChanging runs a balancer with a hosts file, which has one host.
func startChanging(t *testing.T) *changing {
	t.Helper()
	c := &changing{t: t, dir: t.TempDir()}
	host := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(host.Close)
	c.put("hosts.yaml", fmt.Sprintf("- {name: ide-1, address: %q}\n", strings.TrimPrefix(host.URL, "http://")))
	c.put("cookie.key", strings.Repeat("0f", 32))
	cfg := parsed(t, c.dir, `
name: lb-1
listen: [{address: "127.0.0.1:0"}]
pool: {hosts_file: hosts.yaml}
health: {interval: 20ms, timeout: 20ms, rise: 1}
affinity: {cookie: {secret_file: cookie.key}}
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
`)
	e, err := open(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c.e = e
	runs(t, e)
	return c
}

// put moves a file into place.
func (c *changing) put(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path+".next", []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		c.t.Fatal(err)
	}
}

// admin returns the status and the body of an answer of the admin endpoint.
func (c *changing) admin(path, token string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "GET", "http://"+c.e.sockets.Admin.Addr().String()+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// says returns a func that reports whether an answer of the admin endpoint has a text.
func (c *changing) says(path, token, text string) func() bool {
	return func() bool { _, body := c.admin(path, token); return strings.Contains(body, text) }
}

// soon waits until something is true.
func (c *changing) soon(what string, is func() bool) {
	c.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !is(); <-tick.C {
		if time.Now().After(end) {
			c.t.Fatalf("%s: it doesn't come", what)
		}
	}
}

func TestFilesThatChangeTakeEffectWithoutARestart(t *testing.T) {
	t.Parallel()
	c := startChanging(t)
	c.soon("the hosts of the file", c.says("/v1/hosts", adminSecret, `"name":"ide-1"`))
	if !c.says("/v1/hosts", adminSecret, `"origin":"file"`)() {
		t.Error("the host's origin isn't shown")
	}
	c.soon("no file is refused", c.says("/metrics", adminSecret, `lb_file_refused{setting="pool.hosts_file"} 0`))

	c.put("hosts.yaml", `[{"name": "ide-1", "address": "127.0.0.1"}]`)
	c.soon("an alarm", c.says("/v1/status", adminSecret, "hosts.yaml:1:31: hosts[0].address"))
	if !c.says("/metrics", adminSecret, `lb_file_refused{setting="pool.hosts_file"} 1`)() || !c.says("/v1/hosts", adminSecret, `"name":"ide-1"`)() {
		t.Error("a hosts file that can't be used: there is no metric, or its hosts are gone")
	}
	c.put("hosts.yaml", `[{"name": "ide-2", "address": "127.0.0.1:4000"}]`)
	c.soon("another host", c.says("/v1/hosts", adminSecret, `"name":"ide-2"`))
	c.soon("no alarm", c.says("/v1/status", adminSecret, `"alarms":[]`))
}

func TestTheAdminTokenChangesWithoutARestart(t *testing.T) {
	t.Parallel()
	c := startChanging(t)
	status := func(token string) int { code, _ := c.admin("/v1/status", token); return code }
	c.soon("the token of the file", func() bool { return status(adminSecret) == http.StatusOK })
	c.put("given.token", "short")
	c.soon("an alarm", c.says("/v1/status", adminSecret, "the changed file of admin.token_file isn't used"))
	c.put("given.token", "another token of the operators")
	c.soon("the new token", func() bool { return status("another token of the operators") == http.StatusOK })
	if got := status(adminSecret); got != http.StatusUnauthorized {
		t.Errorf("the old token: got %d", got)
	}
}

func TestTheAffinityKeyChangesWithoutARestart(t *testing.T) {
	t.Parallel()
	c := startChanging(t)
	r := &runningEdge{t: t, url: "http://" + c.e.sockets.Clients[0].Addr().String() + "/"}
	before, after := strings.Repeat("0f", 32), strings.Repeat("f0", 32)
	cookie := r.ask("").Cookies()[0].String()
	foreign := "lb=" + string(affinity.NewSealer("lb", [][]byte{[]byte(strings.Repeat("\xf0", 32))}).Append(nil, affinity.Payload{Host: "ide-1"}))
	renewed := func(cookie string) func() bool {
		return func() bool { return len(r.ask(cookie).Header.Values("Set-Cookie")) > 0 }
	}
	if renewed(cookie)() || !renewed(foreign)() {
		t.Fatal("before the change, the old key counts and no other")
	}
	c.put("cookie.key", after+"\n"+before+"\n")
	c.soon("the new key seals: a cookie of the old one is renewed", renewed(cookie))
	if renewed(foreign)() {
		t.Error("a cookie of the new key isn't accepted")
	}
	c.put("cookie.key", "short")
	c.soon("a problem", func() bool { return c.e.watchedFiles()[affinitySecrets] != "" })
	if renewed(foreign)() {
		t.Error("a file that can't be used has changed the key")
	}
}
