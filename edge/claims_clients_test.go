package edge

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"

	"tokenring/tlsterm"
)

// claimClients: clients must show what the bind lines ask for, each at its own address, and are shown the
// certificates of the directory.
func claimClients(t *testing.T) {
	dir := t.TempDir()
	certs := filepath.Join(dir, "certs")
	if err := os.Mkdir(certs, 0o700); err != nil {
		t.Fatal(err)
	}
	cert, key, err := tlsterm.SelfSigned("more.example.com")
	if err == nil {
		err = os.WriteFile(filepath.Join(certs, "more.pem"), append(cert, key...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ours := selfSignedClient(t, filepath.Join(dir, "ours.pem"))
	others := selfSignedClient(t, filepath.Join(dir, "others.pem"))
	ca := " ca-file " + filepath.Join(dir, "ours.pem")
	const named = "ide.example.com"
	for _, row := range []struct {
		options, name string
		with          []tls.Certificate
		ok            bool
	}{
		{"strict-sni", named, nil, true},
		{"strict-sni", "", nil, false},
		{"verify required" + ca, "", nil, false},
		{"verify required" + ca, "", []tls.Certificate{ours}, true},
		{"verify required" + ca, "", []tls.Certificate{others}, false},
		{"verify required crt-ignore-err all" + ca, "", []tls.Certificate{others}, false},
		{"verify optional" + ca, "", nil, true},
		{"verify optional" + ca, "", []tls.Certificate{others}, false},
		{"verify required ca-file @system-ca", "", nil, true},
		{"verify none" + ca, "", nil, true},
	} {
		for _, second := range []string{"", "\n  bind 127.0.0.1:3 ssl crt /ide.pem"} {
			r := runLines(t, cfgLines{front: "  bind 127.0.0.1:2 ssl crt /ide.pem crt " + certs + " " + row.options + second, servers: hostsNamed(t, "one")})
			_, err := r.shake(&tls.Config{ServerName: row.name, Certificates: row.with, MaxVersion: tls.VersionTLS12})
			if (err == nil) != row.ok {
				t.Errorf("%s: a client that names %q, with %d certificates: %v", row.options, row.name, len(row.with), err)
			}
			if second == "" {
				continue
			}
			if state, err := r.shakeAt(2, &tls.Config{}); err != nil || state.PeerCertificates[0].VerifyHostname(named) != nil {
				t.Errorf("%s: the other address: %v", row.options, err)
			}
		}
	}
	r := runLines(t, cfgLines{front: "  bind 127.0.0.1:2 ssl crt " + certs + " crt /ide.pem", servers: hostsNamed(t, "one")})
	for name, want := range map[string]string{"more.example.com": "more.example.com", "": named} {
		state, err := r.shake(&tls.Config{ServerName: name})
		if err != nil || state.PeerCertificates[0].VerifyHostname(want) != nil {
			t.Errorf("a client that names %q isn't shown %s: %v", name, want, err)
		}
	}
}
