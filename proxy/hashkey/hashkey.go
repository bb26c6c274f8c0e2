// Package hashkey finds the key by which a request is hashed. It also removes the key from
// paths for the log and from queries for redirects, because a key is a secret.
package hashkey

import (
	"tokenring/balancer"
	"tokenring/clientcert"
	"tokenring/http1"
)

// Rules are the places of a request where its key may be. The first place that has one
// counts.
type Rules []balancer.KeyRule

// A Client is what rules take from whom a request comes, beside the request.
type Client struct {
	Address     []byte                  // for the rule "source"
	Trusted     bool                    // whether the rules for trusted headers count
	Certificate *clientcert.Certificate // that the client has shown, verified; nil for none
}

// Find returns the request's key: the value of the first place that is present and not
// empty, and the rule for this place. Both are nil if there is none. The key is a slice of the request's
// head or of c, raw and never decoded, as HAProxy does it. The rule is one of rules.
func (rules Rules) Find(r *http1.Request, c *Client) (key []byte, by *balancer.KeyRule) {
	for i := range rules {
		if key := find(&rules[i], r, c); len(key) > 0 {
			return key, &rules[i]
		}
	}
	return nil, nil
}

func find(rule *balancer.KeyRule, r *http1.Request, c *Client) []byte {
	switch rule.Source {
	case balancer.KeyQuery:
		value, _ := balancer.QueryValue(r.Query, rule.Name)
		return value
	case balancer.KeyCookie:
		return http1.CookieValue(r.Fields, rule.Name)
	case balancer.KeyHeader:
		return http1.FieldValue(r.Fields, rule.Name)
	case balancer.KeyClient:
		return c.Address
	case balancer.KeyPath:
		begin, end := balancer.PathSegment(r.Path, rule.Segment())
		return r.Path[begin:end]
	case balancer.KeyTrusted:
		if c.Trusted {
			return http1.FieldValue(r.Fields, rule.Name)
		}
	case balancer.KeyCertificate:
		switch {
		case c.Certificate == nil:
		case rule.Name == balancer.CertificateSubject:
			return c.Certificate.Subject
		default:
			return c.Certificate.Fingerprint
		}
	}
	return nil
}

// Untrusted returns the names of the fields that count from trusted networks only.
func (rules Rules) Untrusted() (names []string) {
	for _, rule := range rules {
		if rule.Source == balancer.KeyTrusted {
			names = append(names, rule.Name)
		}
	}
	return names
}
