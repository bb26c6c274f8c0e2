package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A cookie is a cookie line that is being read.
type cookie struct {
	flags      []string // the words of cookieFlags on the line
	domain     string
	sameSite   string
	idle, life time.Duration
	split      bool // Partitioned
}

// cookieFlags are the keywords that lb.yaml has under the same name. In lb.yaml they are false
// unless the line has them.
var cookieFlags = []string{"indirect", "nocache", "httponly", "secure"}

// takeCookie handles cookie <name> insert [<option>]….
func takeCookie(t *translation, d *directive) {
	if d.word(1) == "" {
		t.fail(d.Line, "cookie names nothing", "write cookie NAME insert …")
		return
	}
	if words := d.args(2); !slices.Contains(words, "insert") {
		d.note(Moves, "lb sets a cookie of its own, and neither reads nor changes the hosts' cookies. Users whom such a cookie keeps on a host go to their token's host, and without a token to another host with each request. If your users need a cookie to stay on one host, write affinity: {cookie: {}}")
		return
	}
	c := cookie{}
	for words := d.args(2); len(words) > 0; {
		n := t.cookieOption(d, &c, words)
		words = words[min(n, len(words)):]
	}
	t.plan.cookie = setting{c.yaml(d.word(1)), d.Number}
	d.note(Took, d.in("affinity.cookie")+": lb sets it for clients without a valid one; it takes precedence over the hash, as in HAProxy")
	d.note(Moves, "lb doesn't read the cookies that HAProxy has set. A user with such a cookie counts as new: the user goes to the token's host, or without a token to the next host in turn, and lb's own cookie keeps the user there. Users whose cookie named another host move once, when lb takes over; compare before you switch. With two or more lb, add secret_file")
}

// cookieOption reads the first option of words, and returns how many words it has.
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
		d.note(Took, "dynamic: lb's cookie is sealed, and nobody can read the host in it")
	case "postonly":
		d.note(Changed, "postonly: lb sets the cookie with the first answer, whatever the method")
	case "preserve":
		d.note(Decide, "preserve: with lb, hosts can neither set nor clear the cookie. Something else has to end the time of a user on a host, such as max_idle")
	default:
		d.note(Unknown, fmt.Sprintf("%q is no option of cookies that the import knows", word))
	}
	return 1
}

// cookieTime reads a time. If it can't be read, the import fails. A number without a unit is in
// seconds, not in milliseconds as for timeouts.
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

// takeDomain keeps the last domain, as browsers do with several Domain attributes (RFC 6265
// §5.3).
func (c *cookie) takeDomain(d *directive, domain string) {
	if c.domain != "" {
		d.note(LeftOut, "domain "+c.domain+": a cookie has one domain; with HAProxy, too, browsers use only the last one")
	}
	c.domain = domain
}

// takeAttribute reads attr: an attribute that HAProxy has no keyword for.
func (c *cookie) takeAttribute(d *directive, text string) {
	name, value, _ := strings.Cut(strings.ToLower(text), "=")
	switch {
	case name == "samesite" && slices.Contains([]string{"strict", "lax", "none"}, value):
		c.sameSite = value
	case name == "partitioned":
		c.split = true
	default:
		d.note(LeftOut, fmt.Sprintf("attr %q: lb writes no such attribute; the cookie lasts until the browser is closed, and its path is /", text))
	}
}

// yaml returns the cookie as a mapping in one line.
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
