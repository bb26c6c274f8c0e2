package nginxcfg

import (
	"net/netip"
	"strings"

	"tokenring/migration"
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

// auth notes what asks users who they are.
func (t *translation) auth(l *directive) {
	for _, d := range l.force("auth_basic") {
		if d.arg(0) == "off" {
			d.note(leftOut, "nobody is asked here")
			continue
		}
		d.note(stops, "lb asks nobody for a password: whoever reaches it gets through. Let the hosts ask")
		for _, file := range l.force("auth_basic_user_file") {
			file.note(leftOut, "lb asks nobody for a password")
		}
	}
	for _, name := range []string{"auth_request", "auth_jwt"} {
		for _, d := range l.force(name) {
			d.note(stops, "lb asks no other service whether a request may pass: whoever reaches it gets through. Let the hosts ask")
		}
	}
}
