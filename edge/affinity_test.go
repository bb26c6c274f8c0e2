package edge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/proxy/affinity"
)

// A runningEdge is a balancer that a test sends requests to.
type runningEdge struct {
	t   *testing.T
	url string
}

// startEdge runs a balancer in dir in front of a host. It ends with the test.
func startEdge(t *testing.T, dir, host, affinity string) *runningEdge {
	t.Helper()
	yaml := fmt.Sprintf(`
name: lb-1
listen: [{address: "127.0.0.1:0"}]
pool: {hosts: [{name: marked-host, address: %q}]}
health: {interval: 20ms, timeout: 20ms, rise: 1}
admin: {address: "127.0.0.1:0"}
state_dir: state
affinity: %s
`, host, affinity)
	cfg, err := config.Parse(filepath.Join(dir, "lb.yaml"), []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	r := &runningEdge{t: t}
	e, err := open(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + e.sockets.Clients[0].Addr().String() + "/"
	runs(t, e)
	return r
}

// ask returns the answer to a request with that Cookie field. It waits until there is a
// host.
func (r *runningEdge) ask(cookie string) *http.Response {
	r.t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		req, err := http.NewRequestWithContext(r.t.Context(), "GET", r.url, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		req.Header.Set("Cookie", cookie)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			return resp
		}
	}
	r.t.Fatal("the edge doesn't serve")
	return nil
}

// TestBalancersWithTheSameKeyAcceptEachOthersCookies, and a balancer with another
// key doesn't.
func TestBalancersWithTheSameKeyAcceptEachOthersCookies(t *testing.T) {
	host := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer host.Close()
	address := strings.TrimPrefix(host.URL, "http://")
	one, two, three := t.TempDir(), t.TempDir(), t.TempDir()
	for dir, digit := range map[string]string{one: "0f", two: "0f", three: "f0"} {
		if err := os.WriteFile(filepath.Join(dir, "cookie.key"), []byte(strings.Repeat(digit, 32)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const shared = "{cookie: {name: sister, secret_file: cookie.key}}"
	first := startEdge(t, one, address, shared).ask("")
	cookie, _, _ := strings.Cut(first.Header.Get("Set-Cookie"), ";")
	if !strings.HasPrefix(cookie, "sister=") || strings.Contains(cookie, "marked") {
		t.Fatalf("got %v", first.Header)
	}
	if again := startEdge(t, two, address, shared).ask(cookie); len(again.Header.Values("Set-Cookie")) > 0 {
		t.Errorf("a balancer with the same key sets the cookie again: %v", again.Header)
	}
	if other := startEdge(t, three, address, shared).ask(cookie); len(other.Header.Values("Set-Cookie")) != 1 {
		t.Errorf("a balancer with another key accepts the cookie: %v", other.Header)
	}
}

func TestAKeyThatIsNotConfiguredIsMadeOnceAndLogged(t *testing.T) {
	var log bytes.Buffer
	cfg := &config.Config{StateDir: t.TempDir(), Affinity: affinity.Config{Cookie: new(affinity.CookieConfig)}}
	_, first, err := openAffinitySecrets(cfg, zerolog.New(&log))
	if err != nil || len(first) != 1 || len(first[0]) < 32 {
		t.Fatal(first, err)
	}
	if _, again, err := openAffinitySecrets(cfg, zerolog.New(&log)); err != nil || !bytes.Equal(again[0], first[0]) {
		t.Errorf("got another key at the second start, %v", err)
	}
	if st, err := os.Stat(filepath.Join(cfg.StateDir, "affinity.key")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", st, err)
	}
	if text := log.String(); !strings.Contains(text, "several balancers") || strings.Contains(text, string(first[0])) {
		t.Errorf("the log says %s", text)
	}
}

func TestTheFirstKeyFileSignsCookies(t *testing.T) {
	dir := t.TempDir()
	files := affinity.SecretFiles{filepath.Join(dir, "b"), filepath.Join(dir, "a")}
	for i, file := range files {
		if err := os.WriteFile(file, bytes.Repeat([]byte{byte(i + 1)}, 32), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := &config.Config{Affinity: affinity.Config{Cookie: &affinity.CookieConfig{SecretFile: files}}}
	_, got, err := openAffinitySecrets(cfg, zerolog.Nop())
	if err != nil || len(got) != 2 || got[0][0] != 1 || got[1][0] != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	os.Remove(files[1])
	if _, _, err := openAffinitySecrets(cfg, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), files[1]) {
		t.Errorf("got %v, want an error about %s", err, files[1])
	}
}
