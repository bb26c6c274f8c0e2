package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A cookie is the line that keeps clients on their servers, as it is being read.
type cookie struct {
	flags      []string // those of cookieFlags that the line has
	domain     string
	sameSite   string
	idle, life time.Duration
	split      bool // Partitioned
}

// cookieFlags are the keywords that lb.yaml has by the same name. They are false
// there unless the line has them.
var cookieFlags = []string{"indirect", "nocache", "httponly", "secure"}

// takeCookie handles cookie <name> insert [<option>]….
func takeCookie(t *translation, d *directive) {
	if d.word(1) == "" {
		t.fail(d.Line, "cookie names nothing", "write cookie NAME insert …")
		return
	}
	if words := d.args(2); !slices.Contains(words, "insert") {
		d.note(Moves, "lb sets a cookie of its own, and reads or changes none of the hosts': users whom the hosts' cookie keeps in place go where their token is, and those without a token to another host with each request. If that is what keeps them together, write affinity: {cookie: {}}")
		return
	}
	c := cookie{}
	for words := d.args(2); len(words) > 0; {
		n := t.cookieOption(d, &c, words)
		words = words[min(n, len(words)):]
	}
	t.plan.cookie = setting{c.yaml(d.word(1)), d.Number}
	d.note(Took, "affinity.cookie: set for clients without one that counts, before the hash, as there")
	d.note(Moves, "HAProxy's values aren't read: a user who comes with one is new, and goes where the token is, or in turn without one; lb's own cookie keeps them together from then on. Those whose cookie said something else move once, when lb takes over; compare before you switch. With two or more lb, add secret_file")
}

// cookieOption reads the first of words and returns how many it takes.
func (t *translation) cookieOption(d *directive, c *cookie, words []string) (n int) {
	value := ""
	if len(words) > 1 {
		value = words[1]
	}
	switch word := words[0]; word {
	case "insert":
	case "indirect", "nocache", "httponly", "secure":
		c.flags = append(c.flags, word)
	case "domain":
		c.takeDomain(d, value)
		return 2
	case "maxidle":
		c.idle = t.cookieTime(d, word, value)
		return 2
	case "maxlife":
		c.life = t.cookieTime(d, word, value)
		return 2
	case "attr":
		c.takeAttribute(d, value)
		return 2
	case "dynamic":
		d.note(Took, "dynamic: lb's values are sealed, and show nothing of a host")
	case "postonly":
		d.note(Changed, "postonly: the cookie is set in whatever answer comes first")
	case "preserve":
		d.note(Decide, "preserve: hosts can neither set nor clear the cookie here; what says that a user is free to go has to be something else, such as max_idle")
	default:
		d.note(Unknown, fmt.Sprintf("%q is no option of cookies that is known here", word))
	}
	return 1
}

// cookieTime reads a time; if it is none, the import fails. A bare number is in
// seconds here, other than for timeouts.
func (t *translation) cookieTime(d *directive, word, text string) time.Duration {
	bare := text
	if text != "" && strings.Trim(text, "0123456789") == "" {
		bare += "s"
	}
	value, err := parseTime(bare)
	if err != nil || value < time.Second {
		t.fail(d.Line, fmt.Sprintf("%s: %q is no time of a second or more", word, text), "write a time such as 8h; see what HAProxy says: haproxy -c -f "+t.name)
	}
	return value
}

// takeDomain keeps the last domain, as browsers do of what HAProxy writes (RFC
// 6265 §5.3).
func (c *cookie) takeDomain(d *directive, domain string) {
	if c.domain != "" {
		d.note(LeftOut, "domain "+c.domain+": a cookie has one domain, and browsers take the last one from HAProxy as well")
	}
	c.domain = domain
}

// takeAttribute reads what HAProxy has no keyword for.
func (c *cookie) takeAttribute(d *directive, text string) {
	name, value, _ := strings.Cut(strings.ToLower(text), "=")
	switch {
	case name == "samesite" && slices.Contains([]string{"strict", "lax", "none"}, value):
		c.sameSite = value
	case name == "partitioned":
		c.split = true
	default:
		d.note(LeftOut, fmt.Sprintf("attr %q: lb writes no such attribute; the cookie ends with the browser, and its path is /", text))
	}
}

// yaml writes the cookie as a mapping in one line.
func (c *cookie) yaml(name string) string {
	parts := []string{"name: " + quoteName(name)}
	for _, flag := range cookieFlags {
		parts = append(parts, fmt.Sprintf("%s: %t", flag, slices.Contains(c.flags, flag)))
	}
	if c.sameSite != "" {
		parts = append(parts, "same_site: "+c.sameSite)
	}
	if c.split {
		parts = append(parts, "partitioned: true")
	}
	if c.domain != "" {
		parts = append(parts, "domain: "+quote(c.domain))
	}
	if c.idle > 0 && (c.life == 0 || c.idle <= c.life) { // a longer one has no effect
		parts = append(parts, "max_idle: "+formatTime(c.idle))
	}
	if c.life > 0 {
		parts = append(parts, "max_life: "+formatTime(c.life))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
