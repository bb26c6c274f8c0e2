package tlsterm

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReadPairNamesTheFileAndWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	good := newPair(t, dir, "good", "ecdsa", "ide.example.com")
	other := newPair(t, dir, "other", "ecdsa", "ide.example.com")
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		write(t, path, []byte(content))
		return path
	}
	text := file("text", "hello\n")
	encrypted := file("encrypted", string(encode("ENCRYPTED PRIVATE KEY", []byte{1, 2, 3})))
	legacy := file("legacy", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	broken := file("broken", string(encode("CERTIFICATE", []byte{1, 2, 3})))

	for _, row := range []struct {
		cert, key string
		want      []string
	}{
		{good.Cert, good.Key, nil},
		{"", good.Key, []string{"no certificate file"}},
		{good.Cert, "", []string{"no key file"}},
		{filepath.Join(dir, "gone"), good.Key, []string{"certificate", "gone", "no such file"}},
		{dir, good.Key, []string{dir, "is a directory"}},
		{text, good.Key, []string{"text", "no certificate in the file"}},
		{good.Cert, text, []string{"text", "no private key in the file"}},
		{good.Key, good.Cert, []string{"good.key", "swapped?"}},
		{good.Cert, good.Cert, []string{"good.crt: there is no private key for it", "good.key beside it"}},
		{good.Cert, encrypted, []string{"encrypted", "is encrypted"}},
		{good.Cert, legacy, []string{"legacy", "is encrypted"}},
		{broken, good.Key, []string{"broken", "block 1 can't be parsed"}},
		{good.Cert, other.Key, []string{"other.key", "good.crt", "doesn't match"}},
	} {
		_, err := ReadPair(Pair{Cert: row.cert, Key: row.key})
		if row.want == nil {
			if err != nil {
				t.Errorf("a good pair: %v", err)
			}
			continue
		}
		for _, want := range row.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s with %s: got %v, want it to say %q", row.cert, row.key, err, want)
			}
		}
	}
}

func TestAnUnreadableKeyIsNamed(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
	if err := os.Chmod(p.Key, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPair(p); err == nil || !strings.Contains(err.Error(), "permission denied") || !strings.Contains(err.Error(), p.Key) {
		t.Errorf("got %v", err)
	}
}

func TestKeyMayBeInTheCertificateFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "both.pem")
	cert, key := pairPEM(t, "ecdsa", time.Time{}, "ide.example.com")
	write(t, file, append(key, cert...))
	if _, err := ReadPair(Pair{Cert: file, Key: file}); err != nil {
		t.Error(err)
	}
}

func TestSelfSignedIsForItsNames(t *testing.T) {
	certPEM, keyPEM, err := SelfSigned("localhost", "*.ide.example.com", "127.0.0.1", "::1")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := Pair{Cert: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k")}
	write(t, p.Cert, certPEM)
	write(t, p.Key, keyPEM)
	if _, err := ReadPair(p); err != nil {
		t.Fatal(err)
	}
	leaf := leafOf(t, p.Cert)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, name := range []string{"localhost", "a.ide.example.com", "127.0.0.1", "::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if leaf.VerifyHostname("example.com") == nil {
		t.Error("it is good for any name")
	}
	if d := time.Until(leaf.NotAfter); d < 89*24*time.Hour || d > 90*24*time.Hour {
		t.Errorf("it lasts %v, want 90 days", d)
	}
	if _, _, err := SelfSigned(); err == nil {
		t.Error("made one for no name")
	}
}

// FuzzPair parses any bytes as the two files: the result is a pair, or an error that names
// a file.
func FuzzPair(f *testing.F) {
	cert, key := pairPEM(f, "ecdsa", time.Time{}, "ide.example.com")
	f.Add(cert, key)
	f.Add(key, cert)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte{})
	f.Add(bytes.Repeat(cert, 3), key)
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		err := checkChain("c.pem", cert)
		if err != nil && !strings.Contains(err.Error(), "c.pem") {
			t.Errorf("chain: %v names no file", err)
		}
		if block, _ := pem.Decode(cert); err == nil && block == nil {
			t.Error("found a certificate where there is no PEM")
		}
		if err := checkKey(Pair{Cert: "c.pem", Key: "k.pem"}, key); err != nil && !strings.Contains(err.Error(), "k.pem") {
			t.Errorf("key: %v names no file", err)
		}
	})
}
