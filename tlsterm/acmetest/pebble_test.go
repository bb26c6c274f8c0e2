package acmetest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"tokenring/tlsterm"
)

// pebbleBinary is built once for all tests.
var pebbleBinary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "acmetest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	pebbleBinary = filepath.Join(dir, "pebble")
	build := exec.Command("go", "build", "-o", pebbleBinary, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build pebble: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A pebble is a running ACME server.
type pebble struct {
	directory string                // its URL
	rootsFile string                // PEM of what signed its own certificate
	roots     func() *x509.CertPool // what signs the certificates that it issues; nil while it doesn't answer
	output    *output
}

// startPebble starts a server that validates names at 127.0.0.1:tlsPort, and
// whose certificates last for validity. It ends with the test.
func startPebble(t *testing.T, tlsPort int, validity time.Duration) *pebble {
	t.Helper()
	dir := t.TempDir()
	own := ownLoopback()
	address, management := own+":14000", own+":15000"
	cert, key := filepath.Join(dir, "pebble.crt"), filepath.Join(dir, "pebble.key")
	certPEM, keyPEM, err := tlsterm.SelfSigned(own)
	must(t, err)
	must(t, os.WriteFile(cert, certPEM, 0o600))
	must(t, os.WriteFile(key, keyPEM, 0o600))
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "managementListenAddress": management,
		"certificate": cert, "privateKey": key,
		"httpPort": 1, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "tests", "validityPeriod": int(validity.Seconds())}},
	}})
	must(t, err)
	file := filepath.Join(dir, "config.json")
	must(t, os.WriteFile(file, config, 0o600))

	client := clientOf(t, certPEM)
	p := &pebble{directory: "https://" + address + "/dir", rootsFile: cert, output: &output{}}
	p.roots = func() *x509.CertPool {
		if _, err := fetch(client, p.directory); err != nil {
			return nil
		}
		pem, err := fetch(client, "https://"+management+"/roots/0")
		if err != nil {
			return nil
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		return pool
	}
	ended := run(t, p.output, pebbleBinary, "-config", file, "-dnsserver", startDNS(t))
	until(t, "pebble answers", func() bool {
		select {
		case <-ended:
			t.Fatalf("pebble has ended:\n%s", p.output)
		default:
		}
		return p.roots() != nil
	})
	return p
}

// issued counts the certificates that the server has made.
func (p *pebble) issued() int { return p.output.count("Issued certificate serial") }

// run starts a process that ends with the test; ended is closed when it has.
func run(t *testing.T, out io.Writer, name string, args ...string) (ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = cmd.Wait() // it says itself why it ends
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return over
}

// startDNS answers every question for an address with 127.0.0.1, over TCP, as
// pebble asks, and returns its address.
func startDNS(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(answer)}
	ended := make(chan error, 1)
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { ended <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-ended
	})
	return ln.Addr().String()
}

func answer(w dns.ResponseWriter, question *dns.Msg) {
	reply := new(dns.Msg).SetReply(question)
	if q := question.Question[0]; q.Qtype == dns.TypeA {
		reply.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1},
			A:   net.IPv4(127, 0, 0, 1),
		}}
	}
	_ = w.WriteMsg(reply)
}

// ownLoopback returns an address of loopback, one of 16 million, that no other test
// uses.
func ownLoopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), rand.IntN(256))
}

func clientOf(t *testing.T, rootsPEM []byte) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(rootsPEM)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}
}

func fetch(client *http.Client, url string) ([]byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for something to become true, for at most 40 seconds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(40 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

// An output is what a process or a logger wrote. It can be read meanwhile.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) count(text string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Count(o.buf.Bytes(), []byte(text))
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
