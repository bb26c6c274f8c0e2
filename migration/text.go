package migration

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Masked replaces what isn't shown.
const Masked = "…"

var (
	// SecretName matches names of fields, cookies and variables whose values may be
	// secrets.
	SecretName = Pattern(`(?i)auth|cookie|secret|pass|credential|token|key|setenv|verify|sign`)
	// assigned matches name=value with a name that a secret may have.
	assigned = Pattern(`(?i)([a-z0-9_.-]*(?:auth|secret|pass|pwd|credential|token|key|signature|sig)[a-z0-9_.-]*=)([^%&;"\s][^&;"\s]*)`)
	// userInfo matches a name and a password in a URL.
	userInfo = Pattern(`://[^/@\s]+@`)
	// constant matches functions of HAProxy's expressions whose arguments may be secrets.
	constant = Pattern(`\b(str|hmac|aes_gcm_[a-z]+|jwt_verify|strcmp|secure_memcmp)\([^)]*\)`)
)

// Pattern returns a function that compiles expr when it is called for the first time. Most
// runs of lb import nothing, and compiling all patterns is a part of their time.
func Pattern(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// publicFields are the fields whose values aren't secrets.
var publicFields = []string{
	"accept", "accept-encoding", "accept-language", "access-control-allow-origin", "cache-control", "connection", "content-security-policy",
	"content-type", "expect", "host", "location", "origin", "pragma", "referer", "referrer-policy", "sec-fetch-mode", "sec-fetch-site", "server",
	"strict-transport-security", "upgrade", "user-agent", "via", "x-content-type-options", "x-forwarded-for", "x-forwarded-host",
	"x-forwarded-port", "x-forwarded-proto", "x-frame-options", "x-real-ip", "x-request-id", "x-served-by",
}

// PublicField reports whether the values of a field aren't secrets.
func PublicField(name string) bool { return slices.Contains(publicFields, strings.ToLower(name)) }

// MaskInside masks secrets inside of a text that is shown.
func MaskInside(text string) string {
	text = userInfo().ReplaceAllString(text, "://"+Masked+"@")
	text = assigned().ReplaceAllString(text, "${1}"+Masked)
	return constant().ReplaceAllString(text, "${1}("+Masked+")")
}

var bare = Pattern(`^[A-Za-z][A-Za-z0-9-]*$`)

// notNames are words that YAML could read as something other than a text.
var notNames = []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}

// QuoteName quotes a name if YAML needs that.
func QuoteName(name string) string {
	if bare().MatchString(name) && !slices.Contains(notNames, strings.ToLower(name)) {
		return name
	}
	return Quote(name)
}

// Quote returns text as a double-quoted scalar of YAML. YAML has all escapes that Go uses
// for printable text.
func Quote(text string) string { return strconv.Quote(Printable(text)) }

// Comment returns text without line ends, for a comment.
func Comment(text string) string { return strings.ReplaceAll(Printable(text), "\n", " ") }

// Printable returns text with control characters replaced, for a terminal and for a comment
// of lb.yaml.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			return '·'
		}
		return r
	}, text)
}
