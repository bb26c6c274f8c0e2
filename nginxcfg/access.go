package nginxcfg

import (
	"io/fs"
	"net/netip"
	"strings"

	"tokenring/migration"
	"tokenring/proxy/basicauth"
)

// access returns the section access of a location's route, "" if all clients may come. nginx takes the
// first rule that matches a client; lb refuses who is denied, whatever is allowed.
func (t *translation) access(l *directive) string {
	var allow, deny []string
	closed, sound := false, true
	rules := l.force("allow", "deny")
	for _, d := range rules {
		network := d.arg(0)
		switch {
		case closed: // a rule for all comes before
		case network == "unix:": // nobody comes to lb from there
		case network == "all":
			closed = true
			if d.name == "allow" {
				allow = nil
			} else if len(allow) == 0 {
				deny = append(deny, "0.0.0.0/0", "::/0")
			}
		case !isNetwork(network):
			sound = false
		case d.name == "allow":
			allow = append(allow, network)
		default:
			sound = sound && len(allow) == 0 // an allowed client would be denied
			deny = append(deny, network)
		}
	}
	if !closed {
		allow = nil // all others may come
	}
	if satisfy := l.force("satisfy"); len(satisfy) > 0 && satisfy[0].arg(0) == "any" {
		sound = false
	}
	for _, d := range rules {
		if sound {
			d.note(took, "access of the routes that it is for: requests from elsewhere get 403")
		} else {
			d.note(stops, "lb refuses who is denied, whatever is allowed, and knows networks only: it keeps nobody out here. Write access for the route")
		}
	}
	if !sound || len(allow)+len(deny) == 0 {
		return ""
	}
	var keys []string
	if len(allow) > 0 {
		keys = append(keys, "allow: ["+quoted(allow)+"]")
	}
	if len(deny) > 0 {
		keys = append(keys, "deny: ["+quoted(deny)+"]")
	}
	return "{" + strings.Join(keys, ", ") + "}"
}

func quoted(all []string) string {
	var list []string
	for _, one := range all {
		list = append(list, migration.Quote(one))
	}
	return strings.Join(list, ", ")
}

func isNetwork(text string) bool {
	_, errPrefix := netip.ParsePrefix(text)
	_, errAddr := netip.ParseAddr(text)
	return errPrefix == nil || errAddr == nil
}

// auth returns the section basic_auth of a location's route, "" if it asks nobody for a password.
func (t *translation) auth(l *directive) string {
	for _, name := range []string{"auth_request", "auth_jwt"} {
		for _, d := range l.force(name) {
			if d.arg(0) != "off" {
				d.note(stops, "lb asks no other service whether a request may pass: whoever reaches it gets through. Let the hosts ask")
			}
		}
	}
	asks, files := l.force("auth_basic"), l.force("auth_basic_user_file")
	switch {
	case len(asks) == 0:
		return ""
	case asks[0].arg(0) == "off":
		asks[0].note(leftOut, "nobody is asked here")
		return ""
	case len(files) == 0:
		asks[0].note(leftOut, "without auth_basic_user_file, nginx asks nobody for a password, and so does lb")
		return ""
	case strings.Contains(files[0].arg(0), "$"):
		asks[0].note(stops, "lb knows the file of users before the first request; here a variable names it. lb asks nobody for a password here")
		return ""
	}
	t.users(files[0])
	if satisfy := l.force("satisfy"); len(satisfy) > 0 && satisfy[0].arg(0) == "any" {
		satisfy[0].note(stops, "lb asks all clients for a password here; nginx doesn't ask those who come from an allowed network")
	}
	keys := []string{"file: " + migration.Quote(resolve(t.prefix, files[0].arg(0)))}
	if realm := asks[0].arg(0); !strings.ContainsAny(realm, `$"\`) && migration.Printable(realm) == realm {
		keys = append(keys, "realm: "+migration.Quote(realm))
	}
	asks[0].note(took, "basic_auth of the routes that it is for: requests without a right password get 401")
	return "{" + strings.Join(keys, ", ") + "}"
}

// users notes whether lb can take the users of a file of passwords.
func (t *translation) users(d *directive) {
	d.note(took, "basic_auth.file")
	t.mustBeThere(d)
	if t.files == nil {
		return
	}
	name := resolve(t.prefix, d.arg(0))
	data, err := fs.ReadFile(t.files, strings.TrimPrefix(name, "/"))
	if err != nil {
		return
	}
	if _, err := basicauth.Parse(name, data); err != nil {
		d.note(decide, "lb takes only passwords that are hashed by bcrypt, and doesn't start with this file: make it anew, with htpasswd -B for each user")
	}
}
