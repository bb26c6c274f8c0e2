package haproxycfg

import (
	"regexp"
	"slices"
	"strings"
)

const masked = "…" // stands for what isn't shown

var (
	// secretName finds the names of fields, cookies and variables whose values
	// may be secrets.
	secretName = regexp.MustCompile(`(?i)auth|cookie|secret|pass|credential|token|key|setenv`)
	// secretField finds a field written out, as in old forms of option httpchk.
	secretField = regexp.MustCompile(`(?i)(authorization|cookie|token|secret|key)[a-z-]*:`)
	// secretFetch finds what is compared with a user's secret.
	secretFetch = regexp.MustCompile(`^(urlp|url_param|query|cook|req\.cook|http_auth|hdr|req\.hdr|url|path)`)
)

// setsField are the words behind which a field's name and value follow.
var setsField = []string{"hdr", "header", "set-header", "add-header", "replace-header", "replace-value"}

// mask takes secrets out of the text of the line: every line is reported, and
// reports get mailed around.
func (d *directive) mask() {
	words := d.args(0)
	from := secretFrom(words)
	if from >= len(words) {
		return
	}
	prefix := ""
	if d.no {
		prefix = "no "
	}
	d.Text = printable(prefix + strings.Join(append(words[:from], masked), " "))
}

// secretFrom returns the index of the first word that may be a secret, the
// number of words if there is none.
func secretFrom(words []string) int {
	switch {
	case words[0] == "dynamic-cookie-key":
		return 1
	case len(words) > 1 && words[0] == "stats" && words[1] == "auth":
		return 2
	case words[0] == "setenv", words[0] == "presetenv", words[0] == "user" && len(words) > 2:
		return 2
	}
	compares := words[0] == "acl" || slices.Contains(words, "{")
	for i, w := range words {
		switch {
		case slices.Contains(setsField, w) && i+2 < len(words) && secretName.MatchString(words[i+1]):
			return i + 2
		case w == "ca-sign-pass", compares && secretFetch.MatchString(w) && secretName.MatchString(w):
			return i + 1
		case secretField.MatchString(w):
			return i
		}
	}
	return len(words)
}

// maskUnread masks a line that can't be cut into words.
func maskUnread(text string) string {
	if at := secretName.FindStringIndex(text); at != nil {
		return text[:at[1]] + masked
	}
	return text
}
