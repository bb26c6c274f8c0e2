// Package clientcert has what lb tells of the certificate that a client has shown: the name of its
// subject as a text, and its fingerprint. It verifies nothing.
package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
)

// A Certificate is one of a client. Processes of a balancer send it to one another as JSON.
type Certificate struct {
	// Subject is the name of the subject as RFC 4514 writes it, in printable ASCII. It is empty if
	// the certificate has none.
	Subject []byte `json:"subject,omitempty"`
	// Fingerprint is the SHA-256 of the certificate's DER, in 64 hexadecimal digits in lower case.
	Fingerprint []byte `json:"fingerprint"`
}

// Of returns what lb tells of a certificate, the leaf of a chain that was verified.
func Of(leaf *x509.Certificate) *Certificate {
	sum := sha256.Sum256(leaf.Raw)
	return &Certificate{Subject: appendName(nil, leaf.RawSubject), Fingerprint: hex.AppendEncode(nil, sum[:])}
}
