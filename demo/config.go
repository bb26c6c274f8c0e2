package demo

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"tokenring/tlsterm"
)

const configYAML = `name: lb-demo
listen:
  - {address: "127.0.0.1:%[1]d", tls: true}
tls:
  certificates: [{cert: demo.crt, key: demo.key}]
pool:
  bind: 127.0.0.1:0
  allowed_networks: [127.0.0.0/8]
  secret_file: pool.key
health: {interval: 1s, timeout: 500ms, rise: 1, fall: 2}
shutdown: {grace: 1s}
sessions: {linger: off}
admin: {address: "127.0.0.1:%[2]d", token_file: admin.token}
state_dir: state
`

// WriteFiles writes the configuration of the demo's balancer and the files that it names
// to dir. It returns the path of lb.yaml. listen and admin are ports on loopback, token is
// the admin token.
func WriteFiles(dir string, listen, admin int, token string) (string, error) {
	cert, key, err := tlsterm.SelfSigned("localhost", "127.0.0.1", "::1")
	if err != nil {
		return "", err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	for name, data := range map[string]string{
		"lb.yaml":     fmt.Sprintf(configYAML, listen, admin),
		"demo.crt":    string(cert),
		"demo.key":    string(key),
		"admin.token": token + "\n",
		"pool.key":    base64.StdEncoding.EncodeToString(secret) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "lb.yaml"), nil
}
