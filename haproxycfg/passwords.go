package haproxycfg

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// A Passwords is a file of users for basic_auth. haproxy.cfg has its content in a userlist.
type Passwords struct {
	Name  string // of the file, beside lb.yaml
	users []user
}

// A user is one of a userlist.
type user struct{ name, password, hash string }

// Htpasswd returns the content of the file. Passwords that haproxy.cfg has in clear are hashed by bcrypt,
// which takes some time for each, and gives another hash each time.
func (p *Passwords) Htpasswd() ([]byte, error) {
	var text strings.Builder
	for _, u := range p.users {
		if u.hash == "" {
			hash, err := bcrypt.GenerateFromPassword([]byte(u.password), bcrypt.DefaultCost)
			if err != nil {
				return nil, fmt.Errorf("the password of %s in %s: %w", printable(u.name), p.Name, err)
			}
			u.hash = string(hash)
		}
		fmt.Fprintf(&text, "%s:%s\n", u.name, u.hash)
	}
	return []byte(text.String()), nil
}

// bcrypted matches a hash that lb can read.
var bcrypted = regexp.MustCompile(`^\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$`)

// askPassword keeps a rule of http-request auth for finishAccess. It reports false if a route can't say the
// same.
func (t *translation) askPassword(d *directive) bool {
	if slices.ContainsFunc(t.refusals, func(r refusal) bool { return r.d == d && r.proxy == t.proxy }) {
		return true // the line is of a listen section, which is a frontend and a backend
	}
	if _, by, _ := t.excepted(d); len(by) > 0 {
		return false
	}
	cut := alternatives(conditionWords(d))
	if at := slices.Index(d.args(0), "unless"); at >= 0 {
		var ok bool
		if cut, ok = opposite(alternatives(d.args(at + 1))); !ok {
			return false
		}
	}
	r := refusal{d: d, proxy: t.proxy, status: "401"}
	for _, terms := range cut {
		some, ok := t.passwordTerms(d, terms)
		if !ok {
			return false
		}
		r.exclusions = append(r.exclusions, some...)
	}
	if len(r.exclusions) > mostMatches {
		return false
	}
	t.refusals = append(t.refusals, r)
	return true
}

// passwordTerms returns for which requests one alternative of a condition asks for a password: those of
// its matches that show none of a userlist.
func (t *translation) passwordTerms(d *directive, terms [][]string) (all []exclusion, ok bool) {
	matches, auth := []match{{}}, ""
	for _, term := range terms {
		list, group, negated, isAuth := t.proxy.userlistOf(term)
		if !isAuth {
			some, complete := t.proxy.criterion(term)
			if !complete {
				return nil, false
			}
			matches = both(matches, some)
			continue
		}
		file := t.passwords(list, group)
		if !negated || auth != "" || file == "" {
			return nil, false
		}
		auth = basicAuth(file, d.option("realm"))
	}
	for _, m := range matches {
		all = append(all, exclusion{match: m, auth: auth})
	}
	return all, auth != ""
}

// basicAuth returns the value of basic_auth.
func basicAuth(file, realm string) string {
	if realm == "" || strings.ContainsFunc(realm, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return "{file: " + quote(file) + "}"
	}
	return "{file: " + quote(file) + ", realm: " + quote(realm) + "}"
}

var authFetch = regexp.MustCompile(`^http_auth(_group)?\((\S+)\)$`)

// userlistOf returns the userlist of a term such as http_auth(staff), and the group of it that
// http_auth_group asks for.
func (s *section) userlistOf(term []string) (list, group string, negated, ok bool) {
	name := strings.TrimLeft(term[0], "!")
	negated = (len(term[0])-len(name))%2 == 1
	words := term[1:]
	if len(words) == 0 {
		words = s.acl(name)
	}
	m := authFetch.FindStringSubmatch(first(words))
	switch {
	case m == nil:
		return "", "", false, false
	case m[1] == "" && len(words) == 1:
		return m[2], "", negated, true
	case m[1] != "" && len(words) == 2:
		return m[2], words[1], negated, true
	}
	return "", "", false, false
}

// passwords returns the name of the file with the users of a list, or of a group of it. It makes the file
// if that is the first rule that asks for it. It returns "" if there is no such list.
func (t *translation) passwords(list, group string) string {
	at := slices.IndexFunc(t.sections, func(s *section) bool { return s.kind == "userlist" && s.name == list })
	if at < 0 || strings.Trim(list+group, plainName) != "" {
		return ""
	}
	s := t.sections[at]
	file := list + ".htpasswd"
	if group != "" {
		file = list + "-" + group + ".htpasswd"
	}
	if slices.ContainsFunc(t.passwordFiles, func(p *Passwords) bool { return p.Name == file }) {
		return file
	}
	p := &Passwords{Name: file}
	for _, d := range s.directives {
		if d.word(0) == "group" {
			d.note(Took, "its users are in the files of the rules that ask for it")
		} else if d.word(0) == "user" && (group == "" || s.inGroup(d, group)) {
			p.add(d)
		}
	}
	t.passwordFiles = append(t.passwordFiles, p)
	s.head.note(Changed, "its users are in "+file+", which isn't part of lb.yaml, because others may read that: lb import --files DIR writes it there, beside lb.yaml")
	return file
}

// add adds the user of a line.
func (p *Passwords) add(d *directive) {
	u := user{name: d.word(1)}
	switch kind, text := d.word(2), d.word(3); {
	case u.name == "", strings.Contains(u.name, ":"), d.variable() != "", len(text) > maxPassword:
		d.note(Decide, "this user can't be in "+p.Name+": the name or the password has a variable, a colon, or more than 72 bytes")
		return
	case kind == "insecure-password" && text != "":
		u.password = text
		d.note(Changed, "in "+p.Name+" the password is hashed by bcrypt")
	case kind == "password" && bcrypted.MatchString(text):
		u.hash = text
		d.note(Took, "in "+p.Name)
	default:
		d.note(Decide, "lb reads only hashes of bcrypt: it refuses this user until htpasswd -B "+p.Name+" has written one")
		return
	}
	p.users = append(p.users, u)
}

// maxPassword is what bcrypt looks at of a password, in bytes.
const maxPassword = 72

// plainName are the characters that names of files are made of.
const plainName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// inGroup reports whether the user on a line is in a group: the line says so, or that of the group.
func (s *section) inGroup(d *directive, group string) bool {
	if d.word(4) == "groups" && slices.Contains(strings.Split(d.word(5), ","), group) {
		return true
	}
	return slices.ContainsFunc(s.directives, func(g *directive) bool {
		return g.word(0) == "group" && g.word(1) == group && g.word(2) == "users" && slices.Contains(strings.Split(g.word(3), ","), d.word(1))
	})
}
