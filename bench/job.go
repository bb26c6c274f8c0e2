package main

import (
	"embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"text/template"

	"tokenring/tlsterm"
)

//go:embed configs
var configs embed.FS

//go:embed tokens.lua
var tokens []byte

// A job is what every proxy is set up to do, and what the templates in configs/
// are filled in with: requests that come in on Port, over TLS 1.3 or in clear,
// go to one of three checked hosts, chosen by consistent hashing of the query
// parameter "token". Connections are kept alive on both sides, X-Forwarded-For
// is added, WebSockets may be quiet for an hour, and nothing is logged.
type job struct {
	TLS             bool
	Port, AdminPort int
	Dir             string // where edge.crt, edge.key and edge.pem, which is both, lie
	Hosts           []host
}

type host struct{ Name, Address string }

// url returns where path is to be had from the proxy.
func (j job) url(path string) string {
	scheme := "http"
	if j.TLS {
		scheme = "https"
	}
	return fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, j.Port, path)
}

// target is where the proxy listens.
func (j job) target() target {
	return target{Address: fmt.Sprintf("127.0.0.1:%d", j.Port), TLS: j.TLS}
}

// configure writes the proxy's configuration for the job and returns its path.
func (j job) configure(name string) (string, error) {
	t, err := template.ParseFS(configs, "configs/"+name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(j.Dir, name)
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := t.Execute(f, j); err != nil {
		return "", fmt.Errorf("configuration %s: %w", name, err)
	}
	return path, f.Close()
}

// writeFiles writes what all jobs share: the certificate, ECDSA on P-256, and
// the load's script.
func writeFiles(dir string) error {
	cert, key, err := tlsterm.SelfSigned("localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"edge.crt":   cert,
		"edge.key":   key,
		"edge.pem":   append(append([]byte(nil), cert...), key...),
		"tokens.lua": tokens,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// freePorts returns n ports of 127.0.0.1 on which nobody listens just now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
