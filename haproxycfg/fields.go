package haproxycfg

import (
	"slices"
	"strings"
)

// ourFields are the request fields that lb sets by itself, with the values of
// rules that mean what it sends, whatever they stand under. That of
// X-Forwarded-Proto may depend on a condition.
var ourFields = map[string][]string{
	"x-forwarded-for":   {"%[src]", "%ci"},
	"x-forwarded-host":  {"%[req.hdr(host)]", "%[hdr(host)]"},
	"x-forwarded-proto": {"%[ssl_fc,iif(https,http)]"},
	"x-request-id":      {"%[uuid()]", "%[uuid]", "%[unique-id]", "%id"},
}

// takeField handles the rules that change a field of requests.
func (t *translation) takeField(d *directive, action string) {
	name := strings.ToLower(d.word(2))
	_, ours := ourFields[name]
	switch {
	case ours && (action == "set-header" || action == "add-header") && t.sent(conditionOf(t.proxy, d), name, d.word(3)):
		d.note(Changed, "lb sets "+d.word(2)+" by itself, for every request")
	case ours && action != "del-header":
		d.note(Stops, "lb sets "+d.word(2)+" by itself, for every request, and not as this rule does: hosts that rely on it may redirect for ever, or take a request for another client's. If what stands in front of lb says it, name that in trusted_networks, and it is kept")
	case action == "del-header" && (strings.HasPrefix(name, "x-forwarded-") || name == "forwarded" || name == "x-real-ip"):
		d.note(Changed, "lb drops what clients say there, unless their network is in trusted_networks")
	default:
		d.note(Stops, "lb changes no other fields: hosts get this one as the client sent it, or not at all")
	}
}

// takeAddedField handles reqadd <field>, which newer HAProxys write as
// http-request add-header.
func takeAddedField(t *translation, d *directive) {
	name, value, _ := strings.Cut(d.word(1), ":")
	if t.sent(conditionOf(t.proxy, d), strings.ToLower(name), strings.TrimSpace(value)) {
		d.note(Changed, "lb sets "+printable(name)+" by itself, for every request")
		return
	}
	d.leaveOut()
}

// sent tells whether a rule sets one of ourFields to what lb sends.
func (t *translation) sent(c condition, name, value string) bool {
	value = strings.ToLower(value)
	if slices.Contains(ourFields[name], value) {
		return c.always() || name == "x-request-id"
	}
	if name != "x-forwarded-proto" {
		return false
	}
	switch value {
	case "https":
		return c.only(term{test: overTLS}) || c.always() && !t.serves(false)
	case "http":
		return c.only(term{overTLS, true}) || c.always() && !t.serves(true)
	}
	return false
}

// serves tells whether a front whose requests the present rule sees has an
// address with or without TLS, and doesn't redirect from it.
func (t *translation) serves(tls bool) bool {
	return slices.ContainsFunc(t.concerned(), func(s *section) bool {
		return slices.ContainsFunc(s.directives, func(d *directive) bool {
			return d.word(0) == "bind" && !d.no && slices.Contains(d.args(2), "ssl") == tls
		}) && (tls || !redirects(s) && !redirects(t.backend))
	})
}

// takeUniqueID handles unique-id-header <name>.
func takeUniqueID(_ *translation, d *directive) {
	if strings.EqualFold(d.word(1), "x-request-id") {
		d.note(Changed, "lb sends X-Request-Id with every request, an id in a form of its own, and logs it")
		return
	}
	d.note(Stops, "hosts get no "+printable(d.word(1))+": lb's id is in X-Request-Id, and in the access log. Let what relies on the field read that")
}

// takeNames handles option http-restrict-req-hdr-names preserve|delete|reject.
func takeNames(_ *translation, d *directive) {
	if d.no || d.word(2) == "preserve" {
		d.note(LeftOut, "lb passes fields on whatever characters of a name their names have, but for those that CGI would take for X-Forwarded-* or the like")
		return
	}
	d.note(Decide, d.word(2)+": lb passes on fields with other characters than letters, digits and - in their names, but for those that CGI would take for X-Forwarded-* or the like: see that no host makes variables of fields and trusts them")
}
