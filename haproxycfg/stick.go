package haproxycfg

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A place is where a key is in requests. The zero place is none that lb.yaml
// can name.
type place struct {
	source string // query, cookie, header or source, as in hash.key
	name   string // of what it is read from; "" for source
}

// requestFetch finds such a place in an expression of HAProxy's that changes
// nothing of the value.
var requestFetch = regexp.MustCompile(`^(urlp|url_param|req\.cook|cook|cookie|req\.hdr|hdr|src)(?:\(([^(),]+)\))?$`)

// fetchSources are the places by the functions that fetch from them.
var fetchSources = map[string]string{
	"urlp": "query", "url_param": "query", "req.cook": "cookie", "cook": "cookie", "cookie": "cookie", "req.hdr": "header", "hdr": "header",
	"src": "source",
}

// placeOf returns the place that an expression fetches from.
func placeOf(expression string) place {
	found := requestFetch.FindStringSubmatch(expression)
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
	name := p.name
	if !bare.MatchString(name) || slices.Contains(notNames, strings.ToLower(name)) {
		name = quote(name)
	}
	return fmt.Sprintf("{%s: %s}", p.source, name)
}

// stickPlace returns the place that the backend's stick table looks at in
// requests, and the line that says so; a nil line if there is none.
func (t *translation) stickPlace() (place, *directive) {
	for _, d := range t.backend.chain() {
		if d.word(0) != "stick" || d.no || d.word(1) == "store-response" {
			continue
		}
		if p := placeOf(d.word(2)); p.source != "" {
			return p, d
		}
	}
	return place{}, nil
}

// takeStick handles stick on|match|store-request|store-response <expression>. In
// HAProxy a table goes before the hash, so that what counts is whether the users
// that it keeps together are together here.
func takeStick(t *translation, d *directive) {
	p := placeOf(d.word(2))
	switch balance := t.backend.last("balance"); {
	case d.word(1) == "store-response":
		d.note(Moves, "lb has no stick tables, and can't remember which host set a value: users whom the table keeps on that host go where their token is, and those without a token to another host with each request. To keep each browser on its host from the switch on, write affinity: {cookie: {}}")
	case p.source == "":
		d.note(Moves, "lb has no stick tables, and this can't be a key here: users whom it keeps together go where their token is, and those without a token to another host with each request; they don't come together again. To keep each browser on one host from the switch on, write affinity: {cookie: {}}")
	case balance == nil || slices.Contains(keyless, algorithm(balance)):
		d.note(Moves, "lb has no stick tables. What this one looks at is hash.key here: users whom it keeps together are together here as well, and move once, when lb takes over")
	case p == balancePlace(balance):
		d.note(Moves, "lb has no stick tables. This one has the ring's own key, so that a user's requests stay together: only users whom the table keeps on another host than the ring's move once, when lb takes over. Compare before you switch")
	case p.source == "cookie":
		d.note(Moves, "lb has no stick tables: users whom this cookie keeps on a host go where their token is, and those without a token to another host with each request. To keep each browser on one host from the switch on, as the table does, write affinity: {cookie: {}}")
	default:
		d.note(Moves, "lb has no stick tables: users whom this keeps together go where their token is, and don't come together again. To keep them together from the switch on, write "+p.rule()+" as the first item of hash.key; they move once then")
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
