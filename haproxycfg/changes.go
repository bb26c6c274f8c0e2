package haproxycfg

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"tokenring/proxy/fields"
)

// changes are the fields of requests and answers that lb changes.
type changes struct {
	request, response changesOf
}

// changesOf are the changes of one direction.
type changesOf struct {
	remove, set, add []fieldLine
}

// A fieldLine is a field with its value as in lb.yaml.
type fieldLine struct {
	name, value string
	line        int
}

// fieldVariables are what HAProxy puts into a value, and lb's variables for the same.
var fieldVariables = strings.NewReplacer(
	"%[src]", "{client}", "%ci", "{client}", "%[src_port]", "{client_port}", "%cp", "{client_port}",
	"%[req.hdr(host)]", "{host}", "%[req.hdr(Host)]", "{host}", "%[hdr(host)]", "{host}", "%[hdr(Host)]", "{host}",
	"%[ssl_fc_protocol]", "{tls_version}", "%sslv", "{tls_version}", "%[dst_port]", "{listener_port}", "%fp", "{listener_port}",
	"%["+subjectFetch+"]", "{client_certificate_subject}",
	"%%", "%", "{", "{{", "}", "}}",
)

// knownVariable finds what fieldVariables replaces.
var knownVariable = regexp.MustCompile(`%\[(src|src_port|(req\.)?hdr\([hH]ost\)|ssl_fc_protocol|dst_port|ssl_c_s_dn\(,0,rfc2253\))\]|%(ci|cp|sslv|fp|%)`)

// unknownVariable reports whether HAProxy would put more into a value than fieldVariables.
func unknownVariable(value string) bool {
	return strings.Contains(knownVariable.ReplaceAllString(value, ""), "%")
}

// change adds a rule that changes a field of all requests or all answers. It reports false if lb.yaml
// can't have it.
func (t *translation) change(d *directive, request bool, action, name, value string) bool {
	to := t.changesHere()
	all, complete := t.proxy.matches(d)
	if to == nil || !complete || !slices.Equal(all, []match{{}}) || d.variable() != "" {
		return false
	}
	if !request && strings.EqualFold(name, "Strict-Transport-Security") && t.takeHSTS(d, value) {
		return true
	}
	one := fieldLine{name, fieldVariables.Replace(value), d.Number}
	of := &to.response
	if request {
		of = &to.request
	}
	before := *of
	switch action {
	case "set-header":
		of.set = append(of.set[:len(of.set):len(of.set)], one)
	case "add-header":
		of.add = append(of.add[:len(of.add):len(of.add)], one)
	case "del-header":
		of.remove = append(of.remove[:len(of.remove):len(of.remove)], one)
	}
	if unknownVariable(value) || strings.HasPrefix(action, "replace-") || !to.valid() {
		*of = before
		return false
	}
	d.note(Took, "fields: "+name)
	return true
}

// valid reports whether lb check accepts the changes.
func (c *changes) valid() bool {
	var cfg fields.Config
	for _, one := range []struct {
		from changesOf
		to   *fields.Changes
	}{{c.request, &cfg.Request}, {c.response, &cfg.Response}} {
		for _, f := range one.from.remove {
			one.to.Remove = append(one.to.Remove, f.name)
		}
		for _, f := range one.from.set {
			one.to.Set = append(one.to.Set, fields.Value{Name: f.name, Text: f.value})
		}
		for _, f := range one.from.add {
			one.to.Add = append(one.to.Add, fields.Value{Name: f.name, Text: f.value})
		}
	}
	return len(cfg.Check()) == 0
}

// changesHere returns where rules of the present proxy belong: to the pool, or to all requests if it is
// the only frontend. It returns nil if lb.yaml has no such place.
func (t *translation) changesHere() *changes {
	if t.proxy == t.backend {
		return &t.plan.ofPool
	}
	if n := len(slices.DeleteFunc(slices.Clone(t.fronts), redirectsOnly)); n != 1 || t.redirectsOnly() {
		return nil
	}
	return &t.plan.ofAll
}

var hstsValue = regexp.MustCompile(`(?i)^max-age=(\d{1,9})((?:\s*;\s*(?:includeSubDomains|preload))*)\s*;?$`)

// takeHSTS takes a rule that sets Strict-Transport-Security on all answers of a frontend.
func (t *translation) takeHSTS(d *directive, value string) bool {
	found := hstsValue.FindStringSubmatch(strings.TrimSpace(value))
	if found == nil || t.proxy == t.backend || !t.proxy.hasTLS() {
		return false
	}
	rest := strings.ToLower(found[2])
	text := fmt.Sprint("{max_age: ", found[1], ", include_subdomains: ", strings.Contains(rest, "includesubdomains"), ", preload: ", strings.Contains(rest, "preload"), "}")
	t.plan.hsts.set(d, "hsts", text, "")
	return true
}

// takeOldField handles reqadd, rspadd and rspdel of HAProxy before 2.1. It reports false if lb.yaml can't
// have the rule.
func (t *translation) takeOldField(d *directive) bool {
	name, value, found := strings.Cut(d.word(1), ":")
	if d.word(0) != "reqadd" && d.word(0) != "rspadd" || !found {
		return false
	}
	return t.change(d, d.word(0) == "reqadd", "add-header", name, strings.ReplaceAll(strings.TrimSpace(value), "%", "%%"))
}

// takeAddedAnswerField handles rspadd.
func takeAddedAnswerField(t *translation, d *directive) {
	if !t.takeOldField(d) {
		d.leaveOut()
	}
}

// write writes the section fields.
func (c *changes) write(w *writer) {
	var all writer
	for _, one := range []struct {
		key string
		of  changesOf
	}{{"request", c.request}, {"response", c.response}} {
		if len(one.of.remove)+len(one.of.set)+len(one.of.add) == 0 {
			continue
		}
		all.line("  %s:", one.key)
		if len(one.of.remove) > 0 {
			all.line("    remove:")
		}
		for _, f := range one.of.remove {
			all.line("      - %s%s", quoteName(f.name), from(f.line))
		}
		all.writeValues("set", one.of.set)
		all.writeValues("add", one.of.add)
	}
	if all.Len() > 0 {
		w.line("fields:")
		w.WriteString(all.String())
	}
}

func (w *writer) writeValues(key string, all []fieldLine) {
	if len(all) > 0 {
		w.line("    %s:", key)
	}
	for _, f := range all {
		w.line("      %s: %s%s", quoteName(f.name), quote(f.value), from(f.line))
	}
}
