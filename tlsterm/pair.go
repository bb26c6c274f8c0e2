package tlsterm

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// A certificate is one that can be served, with what operators ask about it.
type certificate struct {
	*tls.Certificate // with Leaf
	names            []string
	file             string
}

// invalid says why clients refuse c at a time, "" if they don't because of its dates.
func (c *certificate) invalid(now time.Time) string {
	switch {
	case !now.Before(c.Leaf.NotAfter):
		return "it has expired on " + date(c.Leaf.NotAfter)
	case now.Before(c.Leaf.NotBefore):
		return "it isn't valid before " + date(c.Leaf.NotBefore)
	}
	return ""
}

// covers reports whether c is for a name, itself or by a wildcard one label deep
// (RFC 6125 §6.4.3).
func (c *certificate) covers(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return slices.Contains(c.names, name) || slices.Contains(c.names, "*."+parent)
}

// loadPair reads both files and makes sure that they belong together.
func loadPair(p Pair) (*certificate, error) {
	chain, err := readPEM(p.Cert, "certificate")
	if err != nil {
		return nil, err
	}
	key, err := readPEM(p.Key, "key")
	if err != nil {
		return nil, err
	}
	if err := checkChain(p.Cert, chain); err != nil {
		return nil, err
	}
	if err := checkKey(p.Key, key); err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("key %s doesn't fit the first certificate in %s: %s", p.Key, p.Cert, plain(err))
	}
	return &certificate{Certificate: &cert, names: namesOf(cert.Leaf), file: p.Cert}, nil
}

// readPEM keeps the file's name but drops the system call's from the error.
func readPEM(file, what string) ([]byte, error) {
	if file == "" {
		return nil, fmt.Errorf("no %s file is named", what)
	}
	data, err := os.ReadFile(file)
	var broken *fs.PathError
	if errors.As(err, &broken) {
		err = broken.Err
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", what, file, err)
	}
	return data, nil
}

// checkChain says in words what X509KeyPair says in terms of PEM and ASN.1.
func checkChain(file string, data []byte) error {
	certificates, keys := 0, 0
	for block := range blocks(data) {
		switch {
		case block.Type == "CERTIFICATE":
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return fmt.Errorf("certificate %s: block %d can't be parsed: %w", file, certificates+1, err)
			}
			certificates++
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			keys++
		}
	}
	switch {
	case certificates > 0:
		return nil
	case keys > 0:
		return fmt.Errorf("certificate %s: no certificate in the file, but a key: are cert and key swapped?", file)
	}
	return fmt.Errorf("certificate %s: no certificate in the file (PEM is expected)", file)
}

func checkKey(file string, data []byte) error {
	certificates := 0
	for block := range blocks(data) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return fmt.Errorf("key %s: the key is encrypted; nobody is there to type a passphrase, so store it decrypted", file)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		case block.Type == "CERTIFICATE":
			certificates++
		}
	}
	if certificates > 0 {
		return fmt.Errorf("key %s: no private key in the file, but a certificate: are cert and key swapped?", file)
	}
	return fmt.Errorf("key %s: no private key in the file (PEM is expected)", file)
}

// blocks yields the PEM blocks of data.
func blocks(data []byte) func(yield func(*pem.Block) bool) {
	return func(yield func(*pem.Block) bool) {
		for {
			block, rest := pem.Decode(data)
			if block == nil || !yield(block) {
				return
			}
			data = rest
		}
	}
}

func plain(err error) string { return strings.TrimPrefix(err.Error(), "tls: ") }

// namesOf lists what a leaf is for: host names, then addresses.
func namesOf(leaf *x509.Certificate) []string {
	names := make([]string, 0, len(leaf.DNSNames)+len(leaf.IPAddresses))
	for _, name := range leaf.DNSNames {
		names = append(names, strings.ToLower(name))
	}
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
