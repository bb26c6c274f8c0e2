package haproxycfg

import (
	"fmt"
	"slices"

	"tokenring/balancer"
)

// A place is where a key is in requests. The zero place is one that lb.yaml has no name
// for.
type place struct {
	source string // query, cookie, header or source, as in hash.key
	name   string // of the parameter, cookie or field; "" for source
}

// requestFetch matches an expression of HAProxy that fetches from such a place and doesn't
// change the value.
var requestFetch = pattern(`^(urlp|url_param|req\.cook|cook|cookie|req\.hdr|hdr|src)(?:\(([^(),]+)\))?$`)

// fetchSources are the places by the functions that fetch from them.
var fetchSources = map[string]string{
	"urlp": "query", "url_param": "query", "req.cook": "cookie", "cook": "cookie", "cookie": "cookie", "req.hdr": "header", "hdr": "header",
	"src": "source",
}

// subjectFetch fetches the subject of the client's certificate in the form that lb has. ssl_c_s_dn alone
// fetches it in another one.
const subjectFetch = "ssl_c_s_dn(,0,rfc2253)"

// placeOf returns the place that an expression fetches from.
func placeOf(expression string) place {
	if expression == subjectFetch || expression == "ssl_c_s_dn" {
		return place{string(balancer.KeyCertificate), balancer.CertificateSubject}
	}
	found := requestFetch().FindStringSubmatch(expression)
	if found == nil || (found[1] == "src") != (found[2] == "") {
		return place{}
	}
	return place{fetchSources[found[1]], found[2]}
}

// rule writes the place as an item of hash.key.
func (p place) rule() string {
	if p.source == "source" {
		return p.source
	}
	return fmt.Sprintf("{%s: %s}", p.source, quoteName(p.name))
}

// stickPlace returns the place in requests that the backend's stick table uses, and its
// line. The line is nil if there is no such table.
func (t *translation) stickPlace() (place, *directive) {
	for _, d := range t.backend.chain() {
		if d.word(0) != "stick" || d.no || d.word(1) == "store-response" {
			continue
		}
		if p := t.placeOf(d.word(2)); p.source != "" {
			return p, d
		}
	}
	return place{}, nil
}

// takeStick handles stick on|match|store-request|store-response <expression>. In HAProxy, a
// table takes precedence over the hash. So the notes say whether the users that the table
// keeps together stay together with lb.
func takeStick(t *translation, d *directive) {
	p := t.placeOf(d.word(2))
	switch balance := t.backend.last("balance"); {
	case d.word(1) == "store-response":
		d.note(Moves, "lb has no stick tables, and can't remember which host set a value. Users whom the table keeps on that host go to their token's host, and without a token to another host with each request. To keep each browser on its host from the switch on, write affinity: {cookie: {}}")
	case p.source == "":
		d.note(Moves, "lb has no stick tables, and this can't be a key in lb. Users whom the table keeps together go to their token's host, and without a token to another host with each request; they don't come together again. To keep each browser on one host from the switch on, write affinity: {cookie: {}}")
	case balance == nil || slices.Contains(keyless, algorithm(balance)):
		d.note(Moves, "lb has no stick tables. The key of this one is hash.key in lb: users whom the table keeps together stay together, and move once, when lb takes over")
	case p == balancePlace(balance):
		d.note(Moves, "lb has no stick tables. This one has the same key as the ring, so a user's requests stay together. Users whom the table keeps on another host than the ring does move once, when lb takes over. Compare before you switch")
	case p.source == "cookie":
		d.note(Moves, "lb has no stick tables: users whom this cookie keeps on a host go to their token's host, and without a token to another host with each request. To keep each browser on one host from the switch on, as the table does, write affinity: {cookie: {}}")
	default:
		d.note(Moves, "lb has no stick tables: users whom this table keeps together go to their token's host, and don't come together again. To keep them together from the switch on, write "+p.rule()+" as the first item of hash.key; then they move once")
	}
}

// balancePlace returns the place that a balance line hashes.
func balancePlace(balance *directive) place {
	switch algorithm(balance) {
	case "url_param":
		return place{"query", balance.word(2)}
	case "hdr":
		return place{"header", inBrackets(balance.word(1))}
	case "source":
		return place{"source", ""}
	case "hash":
		return placeOf(balance.word(2))
	}
	return place{}
}
