package haproxycfg

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tokenring/balancer"
)

// keyless are the algorithms that use no key.
var keyless = []string{"roundrobin", "static-rr", "leastconn", "first", "random"}

// takeBalance handles balance <algorithm> [<arguments>]: where the key is.
func takeBalance(t *translation, d *directive) {
	switch name := algorithm(d); {
	case d.variable() != "":
		t.askKey(d)
	case name == "url_param":
		takeParameter(t, d)
	case name == "hash":
		takeHash(t, d)
	case name == "hdr":
		takeFieldKey(t, d)
	case name == "source":
		t.takeSource(d)
	case slices.Contains(keyless, name):
		t.withoutKey(d)
	case t.pool != "": // see takeTurns
	default:
		t.plan.key.set(d, "hash.key", "{query: token}", "")
		d.note(Moves, printable(d.word(1))+" can't be a key in lb: a key is a query parameter, a cookie, a header or the client's address. lb sends each token to its own host: users whom HAProxy keeps together by this stay together only if they have the same token; without a token they go to another host with each request. Which of the four tells your users apart?")
	}
}

// askKey handles a balance line with a variable: there is a ring, and the operator must fill
// in its key.
func (t *translation) askKey(d *directive) {
	rule := fmt.Sprintf("{query: %s}", quote(d.word(2)))
	switch name := algorithm(d); {
	case name == "hdr":
		rule = fmt.Sprintf("{header: %s}", quote(inBrackets(d.word(1))))
	case d.unread(2) == "" || name != "url_param":
		rule = quote(strings.Join(d.args(1), " "))
	}
	t.plan.key.ask(d, "hash.key", rule, d.variable())
}

// takeParameter handles url_param <name> [check_post [<bytes>]].
func takeParameter(t *translation, d *directive) {
	t.key(d, "query", d.word(2), "the raw value, as in HAProxy; but an empty value counts as missing, and lb doesn't look into the bodies of POST requests")
	if d.word(3) == "check_post" {
		d.note(Moves, "check_post: lb doesn't look for a token in the body of a POST, and such requests go to another host each time. Send the token in the query")
	}
}

// takeHash handles hash <expression>.
func takeHash(t *translation, d *directive) {
	p := t.placeOf(d.word(2))
	switch {
	case p.source == "source":
		t.takeSource(d)
	case p.source == "" || len(d.words) > 3:
		t.plan.key.set(d, "hash.key", "{query: token}", "")
		d.note(Moves, "this expression can't be a key in lb: a key is the raw value of a query parameter, a cookie or a header, or the client's address. lb sends each token to its own host: users whom the expression keeps together stay together only if they have the same token; without a token they go to another host with each request")
	default:
		t.key(d, p.source, p.name, "the raw value; an empty one counts as missing")
		if d.word(2) != subjectFetch {
			d.note(Moves, fetched[p.source])
		}
	}
	if p.source == "header" {
		t.list(d, p.name)
	}
}

// fetched says how the values that balance hash fetches differ from lb's keys.
var fetched = map[string]string{
	"query":     "in lb the value ends at &, in HAProxy also at ;. Users whose query has a ; in the token or before it move once, when lb takes over",
	"cookie":    "of two cookies with that name, HAProxy takes the last and lb the first; and lb keeps blanks at the end of a value. Users who send such cookies move once, when lb takes over",
	"header":    "HAProxy hashes the part behind the last comma, in the last field of that name; lb hashes the whole value of the first field. Users whose value has a comma move once, when lb takes over",
	certificate: "HAProxy hashes the subject as /C=DE/CN=eva, and lb as CN=eva,C=DE: all users move once, when lb takes over; the requests of one subject stay together. With ssl_c_s_dn(,0,rfc2253) both hash the same",
}

// certificate is the source of keys from clients' certificates.
const certificate = string(balancer.KeyCertificate)

// placeOf is placeOf for requests that this backend gets: only where clients are asked for certificates,
// there can be a key in these.
func (t *translation) placeOf(expression string) place {
	p := placeOf(expression)
	if p.source == certificate && !t.asksClients() {
		return place{}
	}
	return p
}

// asksClients reports whether an address asks clients for certificates of roots that lb can read.
func (t *translation) asksClients() bool {
	return slices.ContainsFunc(t.concerned(), func(s *section) bool {
		return slices.ContainsFunc(s.directives, func(d *directive) bool {
			args := d.args(2)
			mode, file := slices.Index(args, "verify")+1, slices.Index(args, "ca-file")+1
			return d.word(0) == "bind" && !d.no && slices.Contains(args, "ssl") && mode > 0 && mode < len(args) && args[mode] != "none" &&
				file > 0 && file < len(args) && !strings.HasPrefix(args[file], "@")
		})
	})
}

// takeSource handles balance source: the key is the client's address.
func (t *translation) takeSource(d *directive) {
	t.plan.key.set(d, "hash.key", "source", "")
	d.note(Moves, "HAProxy hashes the bits of the client's address, and lb its text: all clients move once, when lb takes over; clients of one address stay together")
}

// takeFieldKey handles hdr(<name>) [use_domain_only].
func takeFieldKey(t *translation, d *directive) {
	name := inBrackets(d.word(1))
	t.key(d, "header", name, "the raw value; an empty one counts as missing")
	d.note(Moves, "HAProxy hashes the part before the first comma, and lb the whole value. Users whose value has a comma move once, when lb takes over")
	t.list(d, name)
	switch {
	case d.word(2) == "use_domain_only":
		d.note(Moves, "use_domain_only: HAProxy hashes a part of the name, such as example in ide.example.com, and lb the whole name. Tokens move once, when lb takes over, and users of one domain are no longer together")
	case d.word(2) != "":
		d.note(Unknown, fmt.Sprintf("%q is no option of balance hdr that the import knows", d.word(2)))
	}
}

// lists are the fields whose values usually have commas.
var lists = []string{"x-forwarded-for", "forwarded", "via", "user-agent", "accept", "accept-language", "accept-encoding", "cache-control"}

// list notes that HAProxy's key is only a part of the field's value.
func (t *translation) list(d *directive, name string) {
	if slices.Contains(lists, strings.ToLower(name)) {
		d.note(Moves, name+" is a list for many users, and HAProxy hashes one item of it: these users move once, when lb takes over")
	}
}

// key sets hash.key to a place in requests.
func (t *translation) key(d *directive, source, name, why string) {
	if name == "" {
		t.fail(d.Line, "balance "+d.word(1)+" names nothing", "write balance url_param token")
		return
	}
	t.plan.key.set(d, "hash.key", place{source, name}.rule(), why)
}

// withoutKey handles backends that don't hash: there is no ring to keep.
func (t *translation) withoutKey(d *directive) {
	if t.pool != "" {
		return // see takeTurns
	}
	t.plan.policy = "consistent"
	if p, stick := t.stickPlace(); stick != nil {
		t.plan.key.set(stick, "hash.key", p.rule(), "")
		d.note(Changed, "HAProxy's stick table decides, and not this line: lb hashes the key of the table, with policy consistent")
		return
	}
	t.plan.key.set(d, "hash.key", "{query: token}", "")
	d.note(Moves, fmt.Sprintf("%s looks at no key, so there is no ring to keep; lb sends each token to its own host, with policy consistent. Does the query parameter token tell your users apart?", d.word(1)))
}

// inBrackets returns the text in the first brackets.
func inBrackets(text string) string {
	_, rest, _ := strings.Cut(text, "(")
	inside, _, _ := strings.Cut(rest, ")")
	return strings.TrimSpace(inside)
}

// hashFunctions are HAProxy's hash functions.
var hashFunctions = []string{"sdbm", "djb2", "wt6", "crc32", "none"}

// takeHashType handles hash-type <type> [<function> [avalanche]].
func takeHashType(t *translation, d *directive) {
	r := ring{kind: d.word(1), function: "sdbm", line: d.Number}
	r.avalanche = r.kind == "consistent" && len(d.words) == 2
	switch {
	case d.variable() != "":
		t.askRing(d, r)
		return
	case r.kind != "consistent" && r.kind != "map-based":
		t.fail(d.Line, fmt.Sprintf("there is no hash-type %q", r.kind), "HAProxy has consistent and map-based")
		return
	case len(d.words) > 2 && !slices.Contains(hashFunctions, d.word(2)):
		t.fail(d.Line, fmt.Sprintf("there is no hash function %q", d.word(2)), "HAProxy has "+strings.Join(hashFunctions, ", "))
		return
	case len(d.words) > 2:
		r.function = d.word(2)
	}
	r.avalanche = r.avalanche || d.word(3) == "avalanche"
	t.plan.ring = r
}

// whyOldRing is the note about the versions that have a different ring.
const whyOldRing = "HAProxy 3.0.0 to 3.2.6 places hosts by another rule, by mistake: if yours is one of them, add hash_key: id-3.0 to hash.haproxy"

// oldRings are those versions, in the summary of the report.
const oldRings = "HAProxy is 3.0.0 to 3.2.6"

// noteRing notes what happens to the hash-type line. It is called when it is known whether
// there is a ring.
func (t *translation) noteRing() {
	d, r := t.backend.last("hash-type"), t.plan.ring
	switch {
	case d == nil || d.no || d.variable() != "":
	case t.plan.policy != "haproxy":
		d.note(LeftOut, "HAProxy has no ring without a key, so there is no ring to keep")
	default:
		d.note(Took, fmt.Sprintf("hash.haproxy: type %s, function %s, avalanche %t", r.kind, r.function, r.avalanche))
	}
	if t.plan.policy == "haproxy" && r.kind == "consistent" {
		d.note(Changed, whyOldRing)
	}
}

// askRing handles a hash-type line with a variable.
func (t *translation) askRing(d *directive, r ring) {
	if d.unread(1) != "" {
		r.kind = quote(r.kind)
	}
	if len(d.words) > 2 {
		r.function = quoteName(d.word(2))
	}
	r.avalanche = r.avalanche || d.word(3) == "avalanche"
	t.plan.ring = r
	d.askFor(Moves, "hash.haproxy", d.variable())
}

// takeBalanceFactor handles hash-balance-factor <percent>. HAProxy uses it only when it looks
// up a key on its ring.
func takeBalanceFactor(t *translation, d *directive) {
	const most = 10000
	percent, err := parseNumber(d.word(1), 0, most)
	balance, kind := t.backend.last("balance"), t.backend.last("hash-type")
	switch {
	case d.unread(1) != "":
		t.plan.bound.ask(d, "hash.bounded_load", quote(d.word(1)), d.unread(1))
	case err != nil || percent > 0 && percent <= 100:
		t.fail(d.Line, fmt.Sprintf("the hash-balance-factor %q is neither 0 nor from 101 to %d", d.word(1), most), "see what HAProxy says: haproxy -c -f "+t.name)
	case percent == 0:
		d.note(Took, "0 means no bound, in HAProxy and in lb")
	case balance == nil || slices.Contains(keyless, algorithm(balance)) || kind == nil || kind.word(1) != "consistent":
		d.note(LeftOut, "HAProxy uses it only with a key and hash-type consistent: neither HAProxy nor lb has a bound")
	default:
		t.plan.bound.set(d, "hash.bounded_load", strconv.FormatFloat(float64(percent)/100, 'g', -1, 64),
			"HAProxy compares, at each request, how many requests hosts have in flight. lb compares how many terminals they have open, only when it first sees a token, and then the token stays on its host")
		d.note(Moves, "tokens that HAProxy has sent to other hosts because of the bound move once, when lb takes over. Each lb knows only where it has sent a token itself. If a user's files are on one host alone, leave bounded_load out: see docs/bounded-load.md")
	}
}

// algorithm returns the algorithm of a balance line, without its arguments in brackets.
func algorithm(balance *directive) string {
	name, _, _ := strings.Cut(balance.word(1), "(")
	return name
}

// finishHash fills in HAProxy's defaults.
func (t *translation) finishHash() {
	p := t.plan
	if p.key.value == "" {
		t.withoutBalance()
	}
	if p.policy == "consistent" {
		t.noteRing()
		return
	}
	p.policy = "haproxy"
	if p.ring.kind == "" {
		p.ring = ring{kind: "map-based", function: "sdbm"}
		t.backend.head.note(Took, "without a hash-type line HAProxy uses map-based, and so does hash.haproxy")
	}
	t.noteRing()
	if p.ring.kind == "map-based" {
		t.renumber()
	}
}

// withoutBalance handles a backend without a balance line.
func (t *translation) withoutBalance() {
	p := t.plan
	p.policy = "consistent"
	if key, stick := t.stickPlace(); stick != nil {
		p.key.set(stick, "hash.key", key.rule(), "")
		return
	}
	p.key.value = "{query: token}"
	t.backend.head.note(Moves, "without a balance line HAProxy balances round robin, and there is no ring to keep; lb sends each token to its own host, with policy consistent. Does the query parameter token tell your users apart?")
}

// renumber gives the hosts ids in the order of their lines. With map-based, HAProxy places
// servers by this order and not by their ids; lb uses the ids as the order.
func (t *translation) renumber() {
	line := t.backend.head
	if d := t.backend.last("hash-type"); d != nil {
		line = d
	}
	line.note(Changed, "with map-based, HAProxy moves most tokens while a host is down; lb moves only the tokens of that host. When a host joins or leaves for good, most tokens move in lb as well: choose another policy as soon as users need not stay where HAProxy has put them")
	ascending := slices.IsSortedFunc(t.plan.hosts, func(a, b host) int { return int(a.id) - int(b.id) })
	if ascending {
		return
	}
	for i := range t.plan.hosts {
		h, id := &t.plan.hosts[i], uint64(i+1)
		renumber(&t.lines[h.line-1], t.backend.head.in("pool.hosts"), h, id)
		h.id = id
	}
	line.note(Changed, "the hosts get new ids in the order of their lines: with map-based that order decides in HAProxy, and in lb the ids stand for it")
}

// renumber corrects the note of a line that says a host's id. hosts is the key of the hosts in lb.yaml.
func renumber(l *Line, hosts string, h *host, id uint64) {
	before := fmt.Sprintf("%s: %s, id %d", hosts, h.name, h.id)
	for i, n := range l.Notes {
		if rest, ok := strings.CutPrefix(n.Text, before); ok && h.id != id && (rest == "" || strings.IndexByte(digits, rest[0]) < 0) {
			l.Notes[i].Text = fmt.Sprintf("%s: %s, id %d for its place in the order, not %d%s", hosts, h.name, id, h.id, rest)
			return
		}
	}
}
