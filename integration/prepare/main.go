// Command prepare makes what the region of docker-compose.yml shares and nobody
// else may know: a certificate for loopback, the gossip pools' keys, and the
// admin endpoint's token. Each run has its own.
package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"tokenring/tlsterm"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: prepare DIRECTORY")
		os.Exit(2)
	}
	if err := prepare(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}

// prepare replaces dir by one with the subdirectories balancer and host, which
// containers mount. Their files are readable by everyone, because a container's
// user is nobody's on this machine; dir itself keeps others out.
func prepare(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	cert, key, err := tlsterm.SelfSigned("localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	pool := secret()
	if err := write(filepath.Join(dir, "host"), map[string]string{"pool.key": pool}); err != nil {
		return err
	}
	return write(filepath.Join(dir, "balancer"), map[string]string{
		"ide.crt":     string(cert),
		"ide.key":     string(key),
		"pool.key":    pool,
		"peers.key":   secret(),
		"admin.token": secret(),
	})
}

func write(dir string, files map[string]string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// secret returns 32 random bytes as a line of base64.
func secret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b) + "\n"
}
