package tlsterm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newKey(kind string) crypto.Signer {
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		return rsaKey()
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		panic(err)
	}
	return key
}

// pairPEM makes a self-signed pair with a key of the given kind. It is valid for an
// hour until notAfter, for 90 days if that is the zero time.
func pairPEM(t testing.TB, kind string, notAfter time.Time, names ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	from, to := -time.Hour, 89*24*time.Hour
	if !notAfter.IsZero() {
		to = time.Until(notAfter)
		from = to - time.Hour
	}
	return datedPEM(t, kind, from, to, names...)
}

// datedPEM makes a self-signed pair that is valid from and to these times from now.
func datedPEM(t testing.TB, kind string, from, to time.Duration, names ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	key := newKey(kind)
	template, err := selfSignedTemplate(names, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(from), time.Now().Add(to)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}

// dated writes a pair that is valid from and to these times from now.
func dated(t testing.TB, p Pair, from, to time.Duration, names ...string) {
	t.Helper()
	cert, key := datedPEM(t, "ecdsa", from, to, names...)
	write(t, p.Cert, cert)
	write(t, p.Key, key)
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newPair writes a fresh pair of files called stem in dir.
func newPair(t testing.TB, dir, stem, kind string, names ...string) Pair {
	t.Helper()
	p := Pair{Cert: filepath.Join(dir, stem+".crt"), Key: filepath.Join(dir, stem+".key")}
	cert, key := pairPEM(t, kind, time.Time{}, names...)
	write(t, p.Cert, cert)
	write(t, p.Key, key)
	return p
}

// leafOf returns the first certificate of a PEM file.
func leafOf(t testing.TB, file string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// shake does a handshake in memory and returns what the client saw.
func shake(server *tls.Config, client *tls.Config) (tls.ConnectionState, error) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	done := make(chan error, 1)
	go func() {
		conn := tls.Server(theirs, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x")) // carries the session tickets of TLS 1.3
		} else {
			theirs.Close()
		}
		done <- err
	}()
	conn := tls.Client(ours, client)
	err := conn.Handshake()
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	ours.Close()
	if serverErr := <-done; err == nil {
		err = serverErr
	}
	return conn.ConnectionState(), err
}

// seenBy returns the certificate that a client of name gets, which it doesn't
// verify.
func seenBy(t testing.TB, s *Source, name string) *x509.Certificate {
	t.Helper()
	state, err := shake(s.TLSConfig(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("handshake for %q: %v", name, err)
	}
	return state.PeerCertificates[0]
}
