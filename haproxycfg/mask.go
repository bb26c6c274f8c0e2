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
	secretName = regexp.MustCompile(`(?i)auth|cookie|secret|pass|credential|token|key|setenv|verify|sign`)
	// secretField finds a field written out, as in old forms of option httpchk.
	secretField = regexp.MustCompile(`(?i)(authorization|cookie|token|secret|key|verify|auth)[a-z-]*:`)
	// comparing finds a fetch of what a user sends, and its argument.
	comparing = regexp.MustCompile(`^(?:req\.)?(?:f?hdr|cook|urlp|url_param|query|body|body_param|http_auth|var)[a-z_]*(?:\(([^,)]*).*)?$`)
	// assigned finds name=value with a name that a secret may have.
	assigned = regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:auth|secret|pass|pwd|credential|token|key|signature|sig)[a-z0-9_.-]*=)([^%&;"\s][^&;"\s]*)`)
	// userInfo finds a name and a password in a URL.
	userInfo = regexp.MustCompile(`://[^/@\s]+@`)
	// constant finds functions of expressions whose arguments may be secrets.
	constant = regexp.MustCompile(`\b(str|hmac|aes_gcm_[a-z]+|jwt_verify|strcmp|secure_memcmp)\([^)]*\)`)
)

var (
	// setsField are the words behind which a field's name and value follow.
	setsField = []string{"hdr", "header", "set-header", "add-header", "replace-header", "replace-value"}
	// hidesNext are those behind which a secret may follow.
	hidesNext = []string{"ca-sign-pass", "agent-send", "body", "body-lf"}
	// publicFields are those whose values are no secrets.
	publicFields = []string{
		"accept", "accept-encoding", "accept-language", "access-control-allow-origin", "cache-control", "connection", "content-security-policy",
		"content-type", "expect", "host", "location", "origin", "pragma", "referer", "referrer-policy", "sec-fetch-mode", "sec-fetch-site", "server",
		"strict-transport-security", "upgrade", "user-agent", "via", "x-content-type-options", "x-forwarded-for", "x-forwarded-host",
		"x-forwarded-port", "x-forwarded-proto", "x-frame-options", "x-real-ip", "x-request-id", "x-served-by",
	}
)

// mask takes what may be secret out of the text of the line: every line is
// reported, and reports get mailed around.
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

// maskInside takes secrets out of text that is shown otherwise.
func maskInside(text string) string {
	text = userInfo.ReplaceAllString(text, "://"+masked+"@")
	text = assigned.ReplaceAllString(text, "${1}"+masked)
	return constant.ReplaceAllString(text, "${1}("+masked+")")
}

// hidden tells which words may be secrets.
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
		case secretField.MatchString(w):
			from(i)
		}
	}
	return hide
}

// secretValue tells whether what a rule sets a field to may be a secret: what is
// written out, and isn't made of the request.
func secretValue(name, value string) bool {
	if slices.Contains(publicFields, strings.ToLower(name)) {
		return false
	}
	return secretName.MatchString(name) || !strings.HasPrefix(value, "%")
}

// comparesSecret tells whether a word of a condition fetches what may be compared
// with a secret.
func comparesSecret(w string) bool {
	found := comparing.FindStringSubmatch(w)
	return found != nil && !slices.Contains(publicFields, strings.ToLower(found[1]))
}

// hideValues hides what a condition compares with, from the i-th word on, but for
// flags.
func hideValues(words []string, hide []bool, i int) {
	for ; i < len(words) && words[i] != "}"; i++ {
		switch {
		case words[i] == "-m" || words[i] == "-f" || words[i] == "-M":
			i++ // and what it takes
		case !strings.HasPrefix(words[i], "-"):
			hide[i] = true
		}
	}
}

// maskUnread masks a line that can't be cut into words: two of them are enough to
// find it.
func maskUnread(text string) string {
	words := strings.Fields(text)
	begin := strings.Join(words[:min(2, len(words))], " ")
	at := len(begin)
	if found := secretName.FindStringIndex(begin); found != nil {
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
