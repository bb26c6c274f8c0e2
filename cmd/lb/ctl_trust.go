package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

// A trust says by what a balancer's admin endpoint is known.
type trust struct {
	host    string              // that a certificate has to be for
	anyCert bool                // any certificate is taken
	named   []*x509.Certificate // by the operator
	missing error               // why none is
}

// newTrust returns how an endpoint at host is known: by the certificates in the PEM
// file ca, unless ca is "", and by those that the system trusts.
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

// config returns how to speak TLS to the endpoint. On loopback an operator who names
// no certificate takes any, as plain HTTP is taken there: it is often for another
// name, and somebody has to get through when its file has been lost or replaced.
func (t *trust) config() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(state tls.ConnectionState) error {
		if t.anyCert {
			return nil
		}
		return t.verify(state.PeerCertificates)
	}}
}

// An untrusted error says why a certificate isn't believed.
type untrusted struct{ error }

// verify takes a chain, leaf first, whose leaf the operator has named, whatever its
// names and dates, and one that is valid for the host under a certificate that the
// operator has named or the system trusts.
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
