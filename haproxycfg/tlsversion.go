package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
)

// A version is the oldest version of TLS that a line allows, "" if the line doesn't set one.
type version struct {
	line   *directive
	oldest string // as HAProxy or lb.yaml writes it, such as TLSv1.1 or 1.3
}

// oldest returns the oldest version of TLS after an option of bind, words: the option and
// its argument. before is the oldest version without the option.
func oldest(words []string, before string) string {
	switch words[0] {
	case "no-tlsv12", "force-tlsv13":
		return "1.3"
	case "ssl-min-ver":
		if len(words) > 1 && before != "1.3" {
			return strings.Replace(strings.Replace(words[1], "TLSv1.2", "1.2", 1), "TLSv1.3", "1.3", 1)
		}
	}
	return before
}

// offered returns the oldest version that lb offers in place of v.
func offered(v string) string {
	if v == "1.3" {
		return v
	}
	return "1.2"
}

// finishTLS notes the oldest version of TLS at each line that sets one, once finishTerms has written
// them.
func (t *translation) finishTLS() {
	for _, v := range append(t.versions, t.version) {
		if v.line == nil || v.oldest == "" {
			continue
		}
		key, oldest := "tls.min_version", offered(v.oldest)
		if slices.ContainsFunc(t.plan.listeners, func(l listener) bool { return l.own && l.line == v.line.Number }) {
			key = "own_tls.min_version"
		}
		switch {
		case v.hidden():
			t.plan.minTLS.ask(v.line, key, quote(v.oldest), v.line.variable())
		case v.oldest == oldest:
			v.line.note(Took, fmt.Sprintf("%s: %q", key, oldest))
		default:
			v.line.note(Changed, fmt.Sprintf("%s: %q: %s isn't offered; clients that know nothing newer are refused", key, oldest, v.oldest))
		}
	}
}

// hidden reports whether a variable hides the version.
func (v version) hidden() bool { return v.line.variable() != "" && strings.Contains(v.oldest, "$") }

// setting returns the version as lb.yaml has it.
func (v version) setting() setting {
	switch {
	case v.oldest == "":
		return setting{}
	case v.hidden():
		return setting{quote(v.oldest), v.line.Number}
	}
	return setting{quote(offered(v.oldest)), v.line.Number}
}
