package h2spec

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startHost starts a host that answers any request, and returns its address.
func startHost(t *testing.T) string {
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "an answer of a few bytes, for windows of one to be tried on\n")
	}))
	t.Cleanup(host.Close)
	return host.Listener.Addr().String()
}

// startBalancer builds lb and runs it in front of a host. It returns where it
// serves TLS, once it sends requests to the host.
func startBalancer(t *testing.T, host string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "lb")
	build := exec.Command("go", "build", "-o", program, "./cmd/lb")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build lb: %v\n%s", err, out)
	}
	writeCertificate(t, dir)
	file := filepath.Join(dir, "lb.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `listen: [{address: "127.0.0.1:0", tls: true}]
tls: {certificates: [{cert: lb.crt, key: lb.key}]}
pool: {hosts: [{name: a, id: 1, address: %q}]}
health: {path: /, interval: 1s, timeout: 1s, rise: 1}
admin: {address: "127.0.0.1:0"}
log: {format: json, access: false}
state_dir: state
`, host), 0o600))
	address := listenAddress(t, runIn(t, dir, program, "run", "-c", file))
	awaitAnswer(t, "https://"+address+"/")
	return address
}

// runIn starts a program that is stopped when the test ends, and returns what it
// writes.
func runIn(t *testing.T, dir, program string, args ...string) io.Reader {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	out, in, err := os.Pipe()
	must(t, err)
	cmd.Stdout, cmd.Stderr = in, in
	must(t, cmd.Start())
	must(t, in.Close())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("lb: %v", err)
		}
		out.Close()
	})
	return out
}

// listenAddress reads the log up to the line that says where the TLS listener
// is, and leaves the rest to a goroutine that ends with the log.
func listenAddress(t *testing.T, log io.Reader) string {
	t.Helper()
	var read bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(log, &read))
	for lines.Scan() {
		var line struct {
			Message, Address string
			TLS              bool
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" && line.TLS {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return line.Address
		}
	}
	t.Fatalf("lb has ended:\n%s", &read)
	return ""
}

// awaitAnswer asks until the balancer has a host.
func awaitAnswer(t *testing.T, url string) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	client := &http.Client{Transport: tr, Timeout: 5 * time.Second}
	last := ""
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		resp, err := client.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		resp.Body.Close()
		if last = resp.Status; strings.HasPrefix(last, "200") {
			return
		}
	}
	t.Fatalf("no answer: %s", last)
}

// writeCertificate writes lb.crt and lb.key.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	for name, block := range map[string]*pem.Block{
		"lb.crt": {Type: "CERTIFICATE", Bytes: cert}, "lb.key": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
