package haproxycfg

import (
	"slices"
	"strings"
)

// ourFields are the request fields that lb sets by itself. The values are those of rules
// that set the same as lb, under any condition. Other values of X-Forwarded-Proto depend on
// the condition: see sent.
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
		d.note(Stops, "lb sets "+d.word(2)+" by itself, for every request, and not as this rule does: hosts that rely on the rule may redirect for ever, or take one client for another. If a proxy in front of lb sends the right value, name it in trusted_networks, and lb keeps that value")
	case action == "del-header" && (strings.HasPrefix(name, "x-forwarded-") || name == "forwarded" || name == "x-real-ip"):
		d.note(Changed, "lb drops what clients send in this field, unless their network is in trusted_networks")
	case t.change(d, true, action, d.word(2), d.word(3)):
	default:
		d.note(Stops, "lb doesn't make this change of fields: hosts get this one as the client sent it, or not at all")
	}
}

// takeAddedField handles reqadd <field>, the old form of http-request add-header.
func takeAddedField(t *translation, d *directive) {
	name, value, _ := strings.Cut(d.word(1), ":")
	if t.sent(conditionOf(t.proxy, d), strings.ToLower(name), strings.TrimSpace(value)) {
		d.note(Changed, "lb sets "+printable(name)+" by itself, for every request")
		return
	}
	if !t.takeOldField(d) {
		d.leaveOut()
	}
}

// sent reports whether a rule sets one of ourFields to the value that lb sends.
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

// serves reports whether a frontend of the present rule has an address with TLS (or without
// it), and doesn't redirect from it.
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
		d.note(Changed, "lb sends an X-Request-Id with every request, in a form of its own, and logs it")
		return
	}
	d.note(Stops, "hosts get no "+printable(d.word(1))+": lb's id of a request is in X-Request-Id and in the access log. Let programs that rely on this field read X-Request-Id")
}

// takeNames handles option http-restrict-req-hdr-names preserve|delete|reject.
func takeNames(_ *translation, d *directive) {
	if d.no || d.word(2) == "preserve" {
		d.note(LeftOut, "lb passes on fields with all characters that a name may have, except fields that CGI would take for X-Forwarded-* or the like")
		return
	}
	d.note(Decide, d.word(2)+": lb also passes on fields whose names have other characters than letters, digits and -, except fields that CGI would take for X-Forwarded-* or the like. Make sure that no host turns fields into variables and trusts them")
}
