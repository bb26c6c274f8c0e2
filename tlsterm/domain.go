package tlsterm

import (
	"context"
	"crypto/tls"

	"golang.org/x/crypto/acme/autocert"
)

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
	e := Expiry{Names: []string{d.domain}, File: file, Problem: d.problem}
	if d.cert != nil {
		e.NotAfter = d.cert.Leaf.NotAfter
	}
	return e
}

// A timedCache bounds each access to the cache directory: autocert holds its
// locks meanwhile, and a disk may hang.
type timedCache struct{ dir autocert.Cache }

func (c timedCache) Get(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	return c.dir.Get(ctx, key)
}

func (c timedCache) Put(ctx context.Context, key string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	return c.dir.Put(ctx, key, data)
}

func (c timedCache) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	return c.dir.Delete(ctx, key)
}
