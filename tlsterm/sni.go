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

// A table chooses the certificate for a client by its server name (SNI). It is immutable.
type table struct {
	exact    map[string][]*certificate // by name, the preferred kind of key first
	wild     map[string][]*certificate // wildcards, by the name after "*."
	standard []*certificate            // for all other names
	expiries []Expiry
	until    time.Time // the next time at which a certificate becomes valid or expires; zero: never
}

// newTable returns a table of all certificates at the time now. Among certificates for
// one name with the same kind of key, the earlier in the list comes first. standard is
// for names that no certificate has. A certificate whose dates aren't valid is used only
// for names that no valid certificate has.
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
				return cmp.Or(cmp.Compare(unusable(a), unusable(b)), cmp.Compare(a.keyPreference(), b.keyPreference()))
			})
		}
	}
	return t
}

// covered reports whether one of the certificates is for a name and valid at the time
// now.
func covered(all []*certificate, name string, now time.Time) bool {
	return slices.ContainsFunc(all, func(c *certificate) bool { return c.invalid(now) == "" && c.covers(name) })
}

// nextChange returns the next time after now at which one of the certificates becomes
// valid or expires, or the zero time if there is none.
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

// outdated reports whether a new table must be made, since the validity of a certificate
// has changed.
func (t *table) outdated(now time.Time) bool { return !t.until.IsZero() && !now.Before(t.until) }

// sharesName reports whether a and b have a name in common.
func sharesName(a, b *certificate) bool {
	return slices.ContainsFunc(a.names, func(name string) bool { return slices.Contains(b.names, name) })
}

// keyPreference orders kinds of keys, the best first, by the cost of a handshake: an
// ECDSA P-256 signature takes a thirtieth of the time of an RSA 2048 signature. Few
// browsers support Ed25519.
func (c *certificate) keyPreference() int {
	switch c.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return 0
	case ed25519.PublicKey:
		return 1
	}
	return 2
}

// find returns the certificate for a client. It tries the certificates for the exact
// server name, those for a wildcard in place of its first label (RFC 6125 §6.4.3), and
// the standard ones, and returns the first whose key the client supports. If the client
// supports none, it returns the first of all, so that the handshake ends with the right
// alert. It returns nil only if the table is empty.
func (t *table) find(hello *tls.ClientHelloInfo) *tls.Certificate {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	_, parent, _ := strings.Cut(name, ".")
	for _, list := range [][]*certificate{t.exact[name], t.wild[parent]} {
		if c := supported(list, hello); c != nil {
			return c
		}
	}
	anyName := *hello
	anyName.ServerName = "" // otherwise SupportsCertificate requires the name
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

// covers reports whether a certificate of t is for a name: for the name itself, or for a
// wildcard in place of its first label.
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
