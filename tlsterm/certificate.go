package tlsterm

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A certificate is a certificate that can be served, with its names and its file.
type certificate struct {
	*tls.Certificate // with Leaf
	names            []string
	file             string
}

// invalid returns why clients refuse c at the time now, or "" if its dates are valid.
func (c *certificate) invalid(now time.Time) string {
	switch {
	case !now.Before(c.Leaf.NotAfter):
		return "it has expired on " + date(c.Leaf.NotAfter)
	case now.Before(c.Leaf.NotBefore):
		return "it isn't valid before " + date(c.Leaf.NotBefore)
	}
	return ""
}

// covers reports whether c is for a name: for the name itself, or for a wildcard in place
// of its first label (RFC 6125 §6.4.3).
func (c *certificate) covers(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return slices.Contains(c.names, name) || slices.Contains(c.names, "*."+parent)
}

// loadPair reads both files and checks that they belong together.
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
	if err := checkKey(p, key); err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("key %s doesn't match the first certificate in %s: %s", p.Key, p.Cert, plain(err))
	}
	return &certificate{Certificate: &cert, names: namesOf(cert.Leaf), file: p.Cert}, nil
}

// readPEM reads a file. Its error has the name of the file, but not that of the system
// call.
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

// checkChain returns an error if data, the content of file, has no certificates. Its
// errors are easier to understand than those of X509KeyPair.
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

// checkKey returns an error if data, the content of p.Key, has no usable private key.
func checkKey(p Pair, data []byte) error {
	file := p.Key
	certificates := 0
	for block := range blocks(data) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return fmt.Errorf("key %s: the key is encrypted; lb can't ask for a passphrase, so store the key decrypted", file)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		case block.Type == "CERTIFICATE":
			certificates++
		}
	}
	switch {
	case certificates > 0 && p.Key == p.Cert:
		return fmt.Errorf("certificate %s: there is no private key for it: put the key into the same file, or into %s.key beside it", file, strings.TrimSuffix(file, filepath.Ext(file)))
	case certificates > 0:
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

// namesOf returns the names in a leaf certificate: host names, then IP addresses.
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
