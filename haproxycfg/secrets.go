package haproxycfg

import (
	"slices"
	"strings"

	"tokenring/migration"
)

var (
	// secretField matches a field with its colon, as in old forms of option httpchk.
	secretField = pattern(`(?i)(authorization|cookie|token|secret|key|verify|auth)[a-z-]*:`)
	// comparing matches a fetch of what a user sends, and its argument.
	comparing = pattern(`^(?:req\.)?(?:f?hdr|cook|urlp|url_param|query|body|body_param|http_auth|var)[a-z_]*(?:\(([^,)]*).*)?$`)
)

var (
	// setsField are the words that a field's name and value follow.
	setsField = []string{"hdr", "header", "set-header", "add-header", "replace-header", "replace-value"}
	// hidesNext are the words that a secret may follow.
	hidesNext = []string{"ca-sign-pass", "agent-send", "body", "body-lf"}
)

// mask removes what may be a secret from the text of the line, because every line is in the
// report, and people send reports to others.
func (d *directive) mask() {
	var words []string
	for _, w := range d.words {
		words = append(words, w.raw)
	}
	hide := hidden(words)
	var shown []string
	for i, w := range words {
		switch {
		case !hide[i]:
			shown = append(shown, maskInside(w))
		case i == 0 || !hide[i-1]:
			shown = append(shown, masked)
		}
	}
	if !slices.Equal(shown, words) {
		prefix := ""
		if d.no {
			prefix = "no "
		}
		d.Text = printable(prefix + strings.Join(shown, " "))
	}
}

// hidden reports, for each word, whether it may be a secret.
func hidden(words []string) []bool {
	hide := make([]bool, len(words))
	from := func(i int) {
		for ; i < len(words); i++ {
			hide[i] = true
		}
	}
	switch {
	case words[0] == "dynamic-cookie-key", words[0] == "cluster-secret":
		from(1)
	case len(words) > 1 && words[0] == "stats" && words[1] == "auth":
		from(2)
	case words[0] == "setenv", words[0] == "presetenv", words[0] == "user" && len(words) > 2, words[0] == "command",
		words[0] == "tcp-check" && len(words) > 1 && strings.HasPrefix(words[1], "send"):
		from(2)
	}
	compares := words[0] == "acl"
	for i, w := range words {
		compares = compares && w != "}" || w == "{"
		switch {
		case slices.Contains(setsField, w) && i+2 < len(words) && words[0] != "option":
			hide[i+2] = hide[i+2] || secretValue(words[i+1], words[i+2])
			if strings.HasPrefix(w, "replace-") && hide[i+2] && i+3 < len(words) {
				hide[i+3] = true
			}
		case slices.Contains(hidesNext, w) && i > 0 && i+1 < len(words):
			hide[i+1] = true
		case compares && comparesSecret(w):
			hideValues(words, hide, i+1)
		case secretField().MatchString(w):
			from(i)
		}
	}
	return hide
}

// secretValue reports whether the value that a rule sets a field to may be a secret: a
// constant that isn't made from the request.
func secretValue(name, value string) bool {
	if migration.PublicField(name) {
		return false
	}
	return migration.SecretName().MatchString(name) || !strings.HasPrefix(value, "%")
}

// comparesSecret reports whether a word of a condition fetches something that may be
// compared with a secret.
func comparesSecret(w string) bool {
	found := comparing().FindStringSubmatch(w)
	return found != nil && !migration.PublicField(found[1])
}

// hideValues hides the values that a condition compares with, from the i-th word on, but
// not flags.
func hideValues(words []string, hide []bool, i int) {
	for ; i < len(words) && words[i] != "}"; i++ {
		switch {
		case words[i] == "-m" || words[i] == "-f" || words[i] == "-M":
			i++ // and its argument
		case !strings.HasPrefix(words[i], "-"):
			hide[i] = true
		}
	}
}

// maskUnread masks a line that can't be cut into words. It shows at most two words, which
// are enough to find the line.
func maskUnread(text string) string {
	words := strings.Fields(text)
	begin := strings.Join(words[:min(2, len(words))], " ")
	at := len(begin)
	if found := migration.SecretName().FindStringIndex(begin); found != nil {
		at = found[1]
	}
	if i := strings.IndexAny(begin, `"'\`); i >= 0 {
		at = min(at, i)
	}
	if at < len(begin) || len(words) > 2 {
		return strings.TrimSpace(begin[:at]) + " " + masked
	}
	return text
}
