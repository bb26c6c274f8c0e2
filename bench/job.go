package main

import (
	"embed"
	"fmt"
	"math/rand/v2"
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
// are filled in with: requests that come in at Address, over TLS 1.3 or unencrypted,
// go to one of three checked hosts, chosen by consistent hashing of the query
// parameter "token". Connections are kept alive on both sides, X-Forwarded-For
// is added, WebSockets may be quiet for an hour, and nothing is logged.
type job struct {
	TLS            bool
	Address, Admin string // where the proxy listens; its admin endpoint
	Dir            string // where edge.crt, edge.key and edge.pem, which is both, lie
	Hosts          []host
}

type host struct{ Name, Address string }

// url returns where path is to be had from the proxy.
func (j job) url(path string) string {
	scheme := "http"
	if j.TLS {
		scheme = "https"
	}
	return scheme + "://" + j.Address + path
}

// target is where the proxy listens.
func (j job) target() target {
	return target{Address: j.Address, TLS: j.TLS}
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

// writeFiles writes what all jobs share: the certificate for the proxies' address,
// ECDSA on P-256, and the load's script.
func writeFiles(dir, ip string) error {
	cert, key, err := tlsterm.SelfSigned("localhost", ip)
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

// ownLoopback returns an address of loopback, one of 16 million, that nothing else
// uses: neither another program nor the load, which takes ports of 127.0.0.1.
func ownLoopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), rand.IntN(256))
}
