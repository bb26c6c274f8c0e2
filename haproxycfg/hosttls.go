package haproxycfg

import (
	"slices"
	"strings"
)

// hostTLS is how a server line wants TLS to be spoken with its host.
type hostTLS struct {
	ssl            *directive // nil: it isn't
	verify         string     // none or required; "" for HAProxy's default, required
	ca, name, cert string     // a file of roots, the name in the host's certificate, a file with the own pair
}

// take sets an option of TLS. It reports false if it is none.
func (h *hostTLS) take(d *directive, name, value string) bool {
	switch name {
	case "ssl":
		h.ssl = d
	case "no-ssl":
		h.ssl = nil
	case "verify":
		h.verify = value
	case "ca-file":
		h.ca = value
	case "crt":
		h.cert = value
	case "verifyhost":
		h.name = value
	case "sni":
		text, isText := strings.CutPrefix(value, "str(")
		if !isText {
			d.note(Decide, "sni "+value+": lb asks all hosts of a pool for one name. Write the name that is in their certificates into "+d.in("pool.tls")+" as server_name")
			return true
		}
		h.name = strings.TrimSuffix(text, ")")
	default:
		return false
	}
	return true
}

// yaml returns the value of pool.tls.
func (h *hostTLS) yaml() string {
	var keys []string
	add := func(key, value string) {
		if value != "" {
			keys = append(keys, key+": "+quote(value))
		}
	}
	if h.verify == "none" {
		keys = append(keys, "verify: false")
	} else {
		add("ca", h.ca)
	}
	add("server_name", h.name)
	add("cert", h.cert)
	add("key", h.cert) // HAProxy has both in one file
	return "{" + strings.Join(keys, ", ") + "}"
}

// hostTLS has lb speak TLS with the hosts of a pool, if HAProxy does with all of them.
func (t *translation) hostTLS(all []*server) {
	const mixed = "ssl: lb speaks TLS with all hosts of a pool or with none, and others have none: put this host into a pool of its own, with tls"
	for _, s := range allOrNone(all, func(s *server) *directive { return s.tls.ssl }, mixed) {
		why := ""
		if s.tls.verify == "none" {
			why = "the host's certificate isn't verified: whoever can redirect connections can stand for the host"
		}
		t.plan.tls.set(s.directive, "pool.tls", s.tls.yaml(), why)
	}
}

// allOrNone returns the servers if all of them have what lb has for all hosts of a pool or for none. by
// returns the directive that says so, nil if a server has it not. If only some have it, allOrNone notes
// that there.
func allOrNone(all []*server, by func(*server) *directive, mixed string) []*server {
	if !slices.ContainsFunc(all, func(s *server) bool { return by(s) == nil }) {
		return all
	}
	for _, s := range all {
		if d := by(s); d != nil {
			d.note(Stops, mixed)
		}
	}
	return nil
}
