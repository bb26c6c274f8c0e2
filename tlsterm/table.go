package tlsterm

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"slices"
	"strings"
	"time"
)

// A table finds the certificate for a client. It is immutable.
type table struct {
	exact    map[string][]*certificate // by name, the preferred kind of key first
	wild     map[string][]*certificate // by what follows "*."
	standard []*certificate            // for all other names
	expiries []Expiry
	until    time.Time // when a certificate begins or ends to be valid next; zero: never
}

// newTable makes a table in which, for one name, the earlier of certificates
// with the same kind of key comes first, and standard serves where no name
// matches. A certificate that isn't valid at now serves only names that no valid
// one is for.
func newTable(all []*certificate, standard *certificate, now time.Time) *table {
	t := &table{exact: map[string][]*certificate{}, wild: map[string][]*certificate{}, until: nextChange(all, now)}
	for _, c := range all {
		for _, name := range c.names {
			if c.invalid(now) != "" && covered(all, name, now) {
				continue
			}
			if parent, ok := strings.CutPrefix(name, "*."); ok {
				t.wild[parent] = append(t.wild[parent], c)
			} else {
				t.exact[name] = append(t.exact[name], c)
			}
		}
		if standard != nil && (c == standard || sharesName(c, standard)) {
			t.standard = append(t.standard, c)
		}
	}
	unusable := func(c *certificate) int { return min(1, len(c.invalid(now))) }
	for _, lists := range []map[string][]*certificate{t.exact, t.wild, {"": t.standard}} {
		for _, list := range lists {
			slices.SortStableFunc(list, func(a, b *certificate) int {
				return cmp.Or(cmp.Compare(unusable(a), unusable(b)), cmp.Compare(a.rank(), b.rank()))
			})
		}
	}
	return t
}

// covered reports whether one of all that is valid at now is for a name.
func covered(all []*certificate, name string, now time.Time) bool {
	return slices.ContainsFunc(all, func(c *certificate) bool { return c.invalid(now) == "" && c.covers(name) })
}

// nextChange returns when the next of all begins or ends to be valid, the zero time
// if none does.
func nextChange(all []*certificate, now time.Time) (next time.Time) {
	for _, c := range all {
		for _, at := range []time.Time{c.Leaf.NotBefore, c.Leaf.NotAfter} {
			if at.After(now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}

// outdated reports whether another table may have to take the place of t at now.
func (t *table) outdated(now time.Time) bool { return !t.until.IsZero() && !now.Before(t.until) }

// sharesName tells whether b is for the same site as a, with another key.
func sharesName(a, b *certificate) bool {
	return slices.ContainsFunc(a.names, func(name string) bool { return slices.Contains(b.names, name) })
}

// rank orders kinds of keys by what a handshake costs us: a signature by ECDSA
// P-256 takes a thirtieth of one by RSA 2048. Hardly any browser takes Ed25519.
func (c *certificate) rank() int {
	switch c.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return 0
	case ed25519.PublicKey:
		return 1
	}
	return 2
}

// find returns the certificate for a client: for the exact name that it asks
// for, or a wildcard one label deep (RFC 6125 §6.4.3), or the standard one; of
// each, the first whose key the client can verify. If it can verify none, the
// first is returned, so that the handshake ends with the right alert. It
// returns nil only from an empty table.
func (t *table) find(hello *tls.ClientHelloInfo) *tls.Certificate {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	_, parent, _ := strings.Cut(name, ".")
	for _, list := range [][]*certificate{t.exact[name], t.wild[parent]} {
		if c := supported(list, hello); c != nil {
			return c
		}
	}
	anyName := *hello
	anyName.ServerName = "" // SupportsCertificate would insist on it
	if c := supported(t.standard, &anyName); c != nil {
		return c
	}
	for _, list := range [][]*certificate{t.exact[name], t.wild[parent], t.standard} {
		if len(list) > 0 {
			return list[0].Certificate
		}
	}
	return nil
}

// covers reports whether a certificate of t is for a name: for itself, or by a
// wildcard one label deep.
func (t *table) covers(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return len(t.exact[name]) > 0 || len(t.wild[parent]) > 0
}

func supported(list []*certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	for _, c := range list {
		if hello.SupportsCertificate(c.Certificate) == nil {
			return c.Certificate
		}
	}
	return nil
}
