package haproxycfg

import (
	"fmt"
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

// finishTLS sets the oldest version of TLS. lb has one for all addresses. It is the oldest
// that one of them allows, so that no client is refused.
func (t *translation) finishTLS() {
	lowest := "1.3"
	for _, v := range t.versions {
		if v.oldest == "" {
			v.oldest = t.version.oldest // ssl-default-bind-options
		}
		lowest = min(lowest, offered(v.oldest))
	}
	if len(t.versions) == 0 {
		lowest = offered(t.version.oldest)
	}
	for _, v := range append(t.versions, t.version) {
		switch {
		case v.line != nil && v.line.variable() != "" && strings.Contains(v.oldest, "$"):
			t.plan.minTLS.ask(v.line, "tls.min_version", quote(v.oldest), v.line.variable())
		case v.oldest == "":
		case offered(v.oldest) != lowest:
			if t.plan.minTLS.value == "" {
				t.plan.minTLS.value = quote(lowest)
			}
			v.line.note(Decide, fmt.Sprintf("tls.min_version: %q, because another address allows it, and lb has one value for all addresses: write \"1.3\" to refuse clients that know nothing newer than 1.2 on all addresses", lowest))
		case v.oldest == lowest:
			t.plan.minTLS.set(v.line, "tls.min_version", quote(lowest), "")
		default:
			t.plan.minTLS.set(v.line, "tls.min_version", quote(lowest), v.oldest+" isn't offered; clients that know nothing newer are refused")
		}
	}
}
