package tlsterm

import "crypto/tls"

// A domainState is one domain and what came of its order.
type domainState struct {
	domain  string
	cert    *certificate // nil until there is one
	problem string
}

// hear takes news in and reports whether they are any. A failure leaves the
// certificate that there is.
func (d *domainState) hear(cert *tls.Certificate, problem, file string) (changed bool) {
	fresh := cert != nil && (d.cert == nil || d.cert.Leaf != cert.Leaf)
	if !fresh && problem == d.problem {
		return false
	}
	d.problem = problem
	if fresh {
		d.cert = &certificate{Certificate: cert, names: namesOf(cert.Leaf), file: file}
	}
	return true
}

func (d *domainState) expiry(file string) Expiry {
	e := Expiry{File: file}
	if d.cert != nil {
		e = d.cert.expiry(acmeMargin)
	}
	e.Names, e.Problem = []string{d.domain}, d.problem
	return e
}
