//go:build integration

package hashing

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"tokenring/balancer"
	"tokenring/config"
	"tokenring/proxy"
	"tokenring/tlsterm"
)

const (
	askedOfBoth = 1000             // keys
	askers      = 4                // connections to each
	fewest      = 8                // configurations
	startLimit  = 60 * time.Second // for a balancer that comes up on a busy machine
)

// TestAnImportMovesNobody takes each configuration of testdata/haproxycfg that
// says "side by side", runs HAProxy with it and lb with what lb import makes of
// it, in front of the same hosts, and wants each key on the same host by both.
func TestAnImportMovesNobody(t *testing.T) {
	if out, err := exec.Command("haproxy", "-v").CombinedOutput(); err != nil {
		t.Fatalf("haproxy -v: %v: install Debian's haproxy\n%s", err, out)
	}
	binary := built(t)
	stories, err := filepath.Glob("../../testdata/haproxycfg/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range stories {
		story, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(story.Comment), "side by side\n") {
			continue
		}
		compared++
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			p := newPlace(t, story, binary, "haproxy.cfg")
			p.compare()
			if strings.Contains(string(story.Comment), "all roads\n") {
				p.compareRoads()
			}
		})
	}
	if compared < fewest {
		t.Errorf("compared %d configurations, want at least %d", compared, fewest)
	}
}

// built builds lb.
func built(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "lb")
	build := exec.Command("go", "build", "-o", binary, "./cmd/lb")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// A place is where one configuration is tried: a directory that stands for the
// root of the file system, and loopback addresses that stand for the network.
type place struct {
	t        *testing.T
	dir      string
	binary   string
	name     string // of the configuration
	cfg      string
	backend  []string // the flag that chooses it
	hostPort int

	theirs, ours entrances
}

// entrances are the addresses of a balancer's listeners, without TLS and with it.
type entrances struct{ plain, tls string }

func newPlace(t *testing.T, story *txtar.Archive, binary, name string) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), binary: binary, name: name}
	if _, name, ok := strings.Cut(string(story.Comment), "backend: "); ok {
		p.backend = []string{"--backend", strings.Fields(name)[0]}
	}
	cert, key, err := tlsterm.SelfSigned("ide.example.com", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range story.Files {
		switch text := string(f.Data); {
		case f.Name == name:
			p.cfg = text
		case strings.HasPrefix(f.Name, "etc/"):
			var data []byte
			if !strings.Contains(text, "BEGIN ") {
				data = f.Data
			}
			if strings.Contains(text, "BEGIN CERTIFICATE") {
				data = append(data, cert...)
			}
			if strings.Contains(text, "BEGIN PRIVATE KEY") {
				data = append(data, key...)
			}
			if len(data) == 0 {
				data = f.Data
			}
			p.write(f.Name, data)
		}
	}
	p.hostPort = p.serveHosts()
	return p
}

func (p *place) write(name string, data []byte) string {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return file
}

var (
	binds   = regexp.MustCompile(`(?m)^(\s*bind )[^\s:]*:(\d+)`)
	forRoot = regexp.MustCompile(`(?m)^\s*(?:(?:user|group) \S+|(?:chroot|daemon|maxconn|stats socket|log /dev/log)(?: .*)?)$`)
)

// moved returns the configuration with listeners at an address of loopback, which
// is another one each time, and with hosts on loopback.
func (p *place) moved() (text, ip string) {
	ip = ownLoopback()
	text = binds.ReplaceAllStringFunc(p.cfg, func(line string) string {
		m := binds.FindStringSubmatch(line)
		port, _ := strconv.Atoi(m[2])
		return fmt.Sprintf("%s%s:%d", m[1], ip, 10000+port) // a port that not only root may use
	})
	hosts := strings.NewReplacer("10.0.0.", "127.77.0.", "10.0.1.", "127.77.1.", ":4000", fmt.Sprintf(":%d", p.hostPort), " /etc/", " "+p.dir+"/etc/", "(/etc/", "("+p.dir+"/etc/")
	return hosts.Replace(text), ip
}

// ownLoopback returns an address of loopback, one of 16 million, that no other test
// uses.
func ownLoopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), rand.IntN(256))
}

// compare runs both, asks both, and compares.
func (p *place) compare() {
	ours, oursAt := p.moved()
	cfg := p.runLB(ours)
	theirs, theirsAt := p.moved()
	at := p.entrance(cfg)
	at.Address = strings.Replace(at.Address, oursAt, theirsAt, 1)
	p.runHAProxy(theirs, at.Address)
	for _, l := range cfg.Listen {
		to, from := &p.ours.plain, &p.theirs.plain
		if l.TLS {
			to, from = &p.ours.tls, &p.theirs.tls
		}
		*to, *from = l.Address, strings.Replace(l.Address, oursAt, theirsAt, 1)
	}
	keys, rule := randomKeys(), cfg.Hash.Key[0]
	want, got := p.ask(at, rule, keys), p.ask(p.entrance(cfg), rule, keys)
	hosts, differ := map[string]bool{}, 0
	for i, key := range keys {
		hosts[want[i]] = true
		if want[i] != got[i] || want[i] == "" {
			if differ++; differ == 1 {
				p.t.Logf("%s: lb sends it to %s, HAProxy to %s", key, got[i], want[i])
			}
		}
	}
	if differ > 0 || len(hosts) < 2 {
		p.t.Errorf("%d of %d keys are elsewhere; HAProxy uses %d hosts", differ, len(keys), len(hosts))
	}
}

// entrance returns the first listener that leads to hosts.
func (p *place) entrance(cfg *config.Config) proxy.ListenConfig {
	p.t.Helper()
	for _, l := range cfg.Listen {
		if !l.RedirectHTTPS {
			return l
		}
	}
	p.t.Fatal("no listener leads to hosts")
	return proxy.ListenConfig{}
}

// runHAProxy runs HAProxy until the test ends. What only root may do, or what needs
// more open files than a test may have, is left out of its configuration.
func (p *place) runHAProxy(cfg, address string) {
	p.t.Helper()
	said := p.start("haproxy", "-db", "-f", p.write("theirs.cfg", forRoot.ReplaceAll([]byte(cfg), nil)))
	p.await("haproxy answers", said, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// runLB imports cfg and runs lb with the result until the test ends. It returns
// the configuration when all hosts of some weight are in the ring, but for backups.
func (p *place) runLB(cfg string) *config.Config {
	p.t.Helper()
	var yaml, report bytes.Buffer
	imports := exec.Command(p.binary, append([]string{"import", p.write(p.name, []byte(cfg)), "--files", p.dir}, p.backend...)...)
	imports.Stdout, imports.Stderr = &yaml, &report
	if err := imports.Run(); err != nil || !strings.Contains(report.String(), "lb check accepts the result.") {
		p.t.Fatalf("lb import: %v\n%s", err, &report)
	}
	admin := ownLoopback() + ":17000"
	text := strings.NewReplacer("127.0.0.1:7000", admin, "/var/lib/lb", filepath.Join(p.dir, "state")).Replace(yaml.String())
	file := p.write("lb.yaml", []byte(text))
	loaded, err := config.Load(file)
	if err != nil {
		p.t.Fatal(err)
	}
	said := p.start(p.binary, "run", "-c", file)
	weighty := 0
	for _, h := range loaded.Pool.Hosts {
		if h.Weight > 0 && !h.Backup {
			weighty++
		}
	}
	for _, pool := range loaded.Pools {
		for _, h := range pool.Hosts {
			if !h.Backup && strings.HasSuffix(h.Address, fmt.Sprint(":", p.hostPort)) { // nobody answers at other ports
				weighty++
			}
		}
	}
	p.await("all hosts of some weight are in the ring", said, func() bool { return p.inRing(admin) == weighty })
	return loaded
}

// start runs a program until the test ends, and returns the file of what it says.
func (p *place) start(name string, args ...string) string {
	p.t.Helper()
	out, err := os.Create(filepath.Join(p.dir, filepath.Base(name)+".out"))
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // a kill would leave the generations of lb, which write into the directory until they have ended
		defer time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() }).Stop()
		cmd.Wait()
		out.Close()
	})
	return out.Name()
}

// await waits until something is so in another process.
func (p *place) await(what, said string, so func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(startLimit); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(said)
			p.t.Fatalf("it doesn't come to pass that %s:\n%s", what, text)
		}
	}
}

func randomKeys() []string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
	keys := make([]string, askedOfBoth)
	for i := range keys {
		key := make([]byte, 1+rand.IntN(40))
		for j := range key {
			key[j] = letters[rand.IntN(len(letters))]
		}
		keys[i] = string(key)
	}
	return keys
}

const ideURL = "/environment/websocket" // some configurations look at it

// ask returns which host answers each key; "" stands for none.
func (p *place) ask(at proxy.ListenConfig, rule balancer.KeyRule, keys []string) []string {
	p.t.Helper()
	url := "http://" + at.Address + ideURL
	if at.TLS {
		url = "https://" + at.Address + ideURL
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: askers,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, ServerName: "ide.example.com"},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: startLimit}
	answers := make([]string, len(keys))
	var group sync.WaitGroup
	for first := range askers {
		group.Go(func() {
			for i := first; i < len(keys); i += askers {
				answers[i] = p.one(client, url, rule, keys[i])
			}
		})
	}
	group.Wait()
	return answers
}

// one returns which host answers a request with the key.
func (p *place) one(client *http.Client, url string, rule balancer.KeyRule, key string) string {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	switch rule.Source {
	case balancer.KeyQuery:
		req.URL.RawQuery = rule.Name + "=" + key
	case balancer.KeyCookie:
		req.Header.Set("Cookie", rule.Name+"="+key)
	case balancer.KeyHeader:
		req.Header.Set(rule.Name, key)
	default:
		p.t.Errorf("nothing asks with a key of %s", rule)
	}
	resp, err := client.Do(req)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	resp.Body.Close()
	return resp.Header.Get("X-Host")
}
