package ctl

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

// A trust says which certificates an admin endpoint may have.
type trust struct {
	host    string              // the name or address that a certificate must be for
	anyCert bool                // any certificate is accepted
	named   []*x509.Certificate // the certificates in the operator's file
	missing error               // why there are none in the operator's file
}

// newTrust returns the trust in an endpoint at host. Its certificate must be in the PEM
// file ca, or signed by one in ca or by an authority of the system. ca may be "".
func newTrust(host, ca string) *trust {
	t := &trust{host: host}
	if ca != "" {
		t.named, t.missing = readCertificates(ca)
	}
	return t
}

func readCertificates(file string) (all []*x509.Certificate, _ error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: there is no certificate in it", file)
	}
	return all, nil
}

// config returns the TLS configuration for the endpoint. With anyCert it accepts any
// certificate. This is for loopback, where plain HTTP is safe enough as well: the
// certificate is often for another name, and an operator must reach the endpoint even
// when the certificate's file is lost.
func (t *trust) config() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(state tls.ConnectionState) error {
		if t.anyCert {
			return nil
		}
		return t.verify(state.PeerCertificates)
	}}
}

// An untrusted error says why a certificate isn't trusted.
type untrusted struct{ error }

// verify returns nil if a chain, leaf first, is trusted. Either the operator's file has
// the leaf, whatever its names and dates. Or the leaf is valid for the host, and signed by
// a certificate in the operator's file or one that the system trusts. The error is
// untrusted.
func (t *trust) verify(chain []*x509.Certificate) error {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, c := range t.named {
		if c.Equal(chain[0]) {
			return nil
		}
		roots.AddCert(c)
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{DNSName: t.host, Roots: roots, Intermediates: between})
	switch {
	case err == nil:
		return nil
	case t.missing != nil:
		return untrusted{fmt.Errorf("%w, and %w", err, t.missing)}
	}
	return untrusted{err}
}
