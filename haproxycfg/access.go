package haproxycfg

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// An accessPlan is a section access of lb.yaml.
type accessPlan struct {
	allow, deny networks
}

// networks are the networks of a list, and the file with more of them.
type networks struct {
	list []string
	file string
}

// A refusal is a rule that turns clients away because of their networks.
type refusal struct {
	d          *directive
	proxy      *section
	alloweds   []*directive // the rules above it that except some networks
	exclusions []exclusion
	status     string // of the answer; "" if the connection is closed
}

// An exclusion is an access that requests have to pass, or the password that they must show.
type exclusion struct {
	match
	accessPlan
	auth string // basic_auth, as in YAML; "" for none
}

// turnsAway are the actions of rules that access can stand for.
var turnsAway = []string{"deny", "reject", "tarpit", "silent-drop"}

// refuse keeps a rule that turns clients away by their networks for finishAccess. It reports false if
// access can't say the same.
func (t *translation) refuse(d *directive, action string) bool {
	switch {
	case !slices.Contains(turnsAway, action):
		return false
	case slices.ContainsFunc(t.refusals, func(r refusal) bool { return r.d == d && r.proxy == t.proxy }):
		return true // the line is of a listen section, which is a frontend and a backend
	}
	excepted, alloweds, ok := t.excepted(d)
	if !ok {
		return false
	}
	all, ok := t.proxy.exclusions(d, excepted)
	if !ok {
		return false
	}
	r := refusal{d: d, proxy: t.proxy, alloweds: alloweds, exclusions: all}
	if action == "deny" || action == "tarpit" {
		r.status = "403"
		if code := d.option("deny_status"); code != "" {
			r.status = code
		}
	}
	t.refusals = append(t.refusals, r)
	return true
}

// excepted returns the networks that rules above d let in whatever d says. ok is false if they let in
// others as well.
func (t *translation) excepted(d *directive) (n networks, by []*directive, ok bool) {
	i := 1
	if d.word(0) == "tcp-request" {
		i = 2
	}
	for _, above := range t.proxy.chain() {
		if above == d {
			break
		}
		if action := above.actionOf(i); above.word(0) != d.word(0) || i == 2 && above.word(1) != d.word(1) || action != "allow" && action != "accept" {
			continue
		}
		by = append(by, above)
		for _, terms := range alternatives(conditionWords(above)) {
			if len(terms) != 1 {
				return n, by, false
			}
			some, negated, ok := t.proxy.networksOf(terms[0])
			if !ok || negated || !n.join(some) {
				return n, by, false
			}
		}
	}
	return n, by, true
}

// excepts reports whether a rule lets clients in that a rule below it turns away. finishAccess notes both.
func (t *translation) excepts(d *directive, action string) bool {
	if action != "allow" && action != "accept" {
		return false
	}
	probe := &translation{file: t.file, proxy: t.proxy}
	for _, below := range t.proxy.chain() {
		if below.Number > d.Number && !below.no && (below.word(0) == "http-request" || below.word(0) == "tcp-request") {
			probe.refuse(below, below.actionOf(1))
			probe.refuse(below, below.actionOf(2))
		}
	}
	return slices.ContainsFunc(probe.refusals, func(r refusal) bool { return slices.Contains(r.alloweds, d) })
}

// conditionWords returns the words after if, nil if there are none.
func conditionWords(d *directive) []string {
	words := d.args(0)
	return words[min(len(words), max(slices.Index(words, "if")+1, 1)):]
}

// exclusions returns what a rule says that turns clients away, all but the excepted.
func (s *section) exclusions(d *directive, excepted networks) (all []exclusion, ok bool) {
	words := d.args(0)
	at := slices.IndexFunc(words, func(w string) bool { return w == "if" || w == "unless" })
	cut := [][][]string{nil}
	if at >= 0 {
		cut = alternatives(words[at+1:])
	}
	if at >= 0 && words[at] == "unless" {
		if cut, ok = opposite(cut); !ok {
			return nil, false
		}
	}
	for _, terms := range cut {
		some, ok := s.exclusion(terms, excepted)
		if !ok {
			return nil, false
		}
		all = append(all, some...)
	}
	return all, len(all) <= mostMatches
}

// opposite returns the condition that holds where none of the alternatives does.
func opposite(cut [][][]string) (all [][][]string, ok bool) {
	all = [][][]string{nil}
	for _, terms := range cut {
		if len(terms) != 1 {
			return nil, false
		}
		term := slices.Clone(terms[0])
		term[0] = "!" + term[0]
		all[0] = append(all[0], term)
	}
	return all, true
}

// exclusion returns the exclusions of one alternative of a condition.
func (s *section) exclusion(terms [][]string, excepted networks) (all []exclusion, ok bool) {
	var access accessPlan
	matches, denied := []match{{}}, 0
	if !access.allow.join(excepted) {
		return nil, false
	}
	for _, term := range terms {
		some, negated, isSource := s.networksOf(term)
		switch {
		case isSource && negated:
			ok = access.allow.join(some)
		case isSource:
			denied++
			ok = access.deny.join(some)
		default:
			var options []match
			options, ok = s.criterion(term)
			matches = both(matches, options)
		}
		if !ok {
			return nil, false
		}
	}
	if allowed := !access.allow.empty(); denied > 1 || allowed == (denied == 1) {
		return nil, false // an access says neither "here and there" nor "here, but for there"
	}
	for _, m := range matches {
		all = append(all, exclusion{match: m, accessPlan: access})
	}
	return all, true
}

// networksOf returns the networks of a term about the client's address.
func (s *section) networksOf(term []string) (n networks, negated, ok bool) {
	name := strings.TrimLeft(term[0], "!")
	negated = (len(term[0])-len(name))%2 == 1
	if len(term) > 1 {
		n, ok = sources(term[1:])
		return n, negated, ok
	}
	for _, d := range s.chain() {
		if d.word(0) != "acl" || d.word(1) != name {
			continue
		}
		some, good := sources(d.args(2))
		if !good || d.variable() != "" || !n.join(some) {
			return n, negated, false
		}
		ok = true
	}
	return n, negated, ok
}

// sources returns the networks of a criterion such as src 10.0.0.0/8 -f /etc/haproxy/office.lst.
func sources(words []string) (n networks, ok bool) {
	if first(words) != "src" {
		return n, false
	}
	for words = words[1:]; len(words) > 0; {
		switch words[0] {
		case "-f":
			if len(words) < 2 || !n.join(networks{file: words[1]}) {
				return n, false
			}
			words = words[2:]
		case "-m":
			if len(words) < 2 || words[1] != "ip" {
				return n, false
			}
			words = words[2:]
		case "--", "-n":
			words = words[1:]
		default:
			text, good := network(words[0])
			if !good {
				return n, false
			}
			n.join(networks{list: []string{text}})
			words = words[1:]
		}
	}
	return n, !n.empty()
}

// network returns an address or network as lb.yaml has it. HAProxy ignores the bits behind the
// prefix, and takes a mask such as 255.0.0.0 as well.
func network(text string) (string, bool) {
	address, size, isPrefix := strings.Cut(text, "/")
	if mask := net.ParseIP(size).To4(); mask != nil {
		ones, bits := net.IPMask(mask).Size()
		if bits == 0 {
			return "", false
		}
		text = fmt.Sprintf("%s/%d", address, ones)
	}
	if !isPrefix {
		_, err := netip.ParseAddr(text)
		return text, err == nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked().String(), err == nil
}

func (n *networks) empty() bool { return len(n.list) == 0 && n.file == "" }

// join adds other networks. It reports false if there are two files then.
func (n *networks) join(other networks) bool {
	for _, text := range other.list {
		if !slices.Contains(n.list, text) {
			n.list = append(n.list[:len(n.list):len(n.list)], text)
		}
	}
	return join(&n.file, other.file)
}

// join has a pass what other asks for as well. It reports false if a section can't say both.
func (a *accessPlan) join(other accessPlan) bool {
	if !a.allow.empty() && !other.allow.empty() && (!slices.Equal(a.allow.list, other.allow.list) || a.allow.file != other.allow.file) {
		return false
	}
	return a.allow.join(other.allow) && a.deny.join(other.deny)
}

func (a *accessPlan) empty() bool { return a.allow.empty() && a.deny.empty() }

// yaml returns the value of access.
func (a *accessPlan) yaml() string {
	var keys []string
	for _, one := range []struct {
		key string
		networks
	}{{"allow", a.allow}, {"deny", a.deny}} {
		if len(one.list) > 0 {
			var texts []string
			for _, text := range one.list {
				texts = append(texts, quote(text))
			}
			keys = append(keys, one.key+": ["+strings.Join(texts, ", ")+"]")
		}
		if one.file != "" {
			keys = append(keys, one.key+"_file: "+quote(one.file))
		}
	}
	return "{" + strings.Join(keys, ", ") + "}"
}
