package haproxycfg

import (
	"fmt"
	"slices"
	"strings"

	"tokenring/migration"
)

// A directive is a line that isn't empty or a comment.
type directive struct {
	*Line
	no    bool // "no" or "default" comes before the words
	asked bool // a note asks the operator to fill in a variable's value
	words []word
	pool  string // the pool beside the main one that the line is for; "" if there is none
}

// word returns the text of the i-th word, "" if there are fewer.
func (d *directive) word(i int) string {
	if i >= len(d.words) {
		return ""
	}
	return d.words[i].text
}

// args returns the words from the i-th on.
func (d *directive) args(i int) []string {
	var texts []string
	for _, w := range d.words[min(i, len(d.words)):] {
		texts = append(texts, w.text)
	}
	return texts
}

// variable returns the first environment variable of the line.
func (d *directive) variable() string {
	for _, w := range d.words {
		if w.variable != "" {
			return w.variable
		}
	}
	return ""
}

// unread returns the variable that hides the i-th word, "" if it can be read.
func (d *directive) unread(i int) string {
	if i >= len(d.words) {
		return ""
	}
	return d.words[i].variable
}

// borrowed returns the first variable of the line whose value may differ in HAProxy.
func (d *directive) borrowed() string {
	for _, w := range d.words {
		if w.borrowed != "" {
			return w.borrowed
		}
	}
	return ""
}

// families are the keywords whose second word says what they set.
var families = []string{"timeout", "option", "stats", "compression"}

// key returns the name of what a directive sets. If a proxy's chain has two directives with
// the same key, the later one is in force, unless the keyword is additive.
func (d *directive) key() string {
	if slices.Contains(families, d.word(0)) && len(d.words) > 1 {
		return d.word(0) + " " + d.word(1)
	}
	return d.word(0)
}

// additive are the keywords that add to earlier lines, and don't replace them.
var additive = []string{
	"acl", "bind", "server", "server-template", "default-server", "use_backend", "use-server", "http-request", "http-response",
	"http-after-response", "tcp-request", "tcp-response", "redirect", "stick", "log", "errorfile", "errorfiles", "errorloc", "errorloc302",
	"errorloc303", "http-error", "http-check", "tcp-check", "filter", "capture", "declare", "force-persist", "ignore-persist",
	"stats admin", "stats auth", "stats http-request", "monitor", "email-alert", "compression type", "compression algo",
}

// A section is one of global, defaults, frontend, backend, listen, and others.
type section struct {
	head       *directive
	kind, name string
	parent     *section // the defaults section that it inherits from; nil if there is none
	directives []*directive
}

func (s *section) front() bool { return s.kind == "frontend" || s.kind == "listen" }
func (s *section) back() bool  { return s.kind == "backend" || s.kind == "listen" }

// String returns the section's name, as in its first line.
func (s *section) String() string { return strings.TrimSpace(s.kind + " " + s.name) }

// chain returns the lines that apply to a proxy: those that it inherits, then its own.
func (s *section) chain() []*directive {
	if s == nil {
		return nil
	}
	return append(slices.Clone(s.parent.chain()), s.directives...)
}

// force returns the directives of the chain that are in force. It notes at the others which
// line replaces them.
func (s *section) force() []*directive {
	last := map[string]*directive{}
	chain := s.chain()
	for _, d := range chain {
		last[d.key()] = d
	}
	var all []*directive
	for _, d := range chain {
		by := last[d.key()]
		if slices.Contains(additive, d.key()) || by == d {
			all = append(all, d)
			continue
		}
		d.note(LeftOut, fmt.Sprintf("overridden for %q by line %d", s, by.Number))
	}
	return all
}

// last returns the last directive that sets key, nil if there is none.
func (s *section) last(key string) *directive {
	for _, d := range slices.Backward(s.chain()) {
		if d.key() == key {
			return d
		}
	}
	return nil
}

// kinds are the keywords that begin a section.
var kinds = []string{
	"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers", "cache", "program",
	"http-errors", "ring", "log-forward", "fcgi-app", "crt-store", "traces", "log-profile", "acme", "namespace_list", "ruleset",
}

// A file is a haproxy.cfg that has been cut into sections.
type file struct {
	name     string
	lines    []Line
	sections []*section
	defaults *section            // the section that proxies inherit from if they name none
	named    map[string]*section // defaults by name
	env      *environment        // at the line that is being read
	errs     Errors

	passwordFiles []*Passwords // that basic_auth of a route names
}

// readFile cuts data into sections. errs has an error for each line that it can't read.
func readFile(name string, data []byte, env *environment) *file {
	f := &file{name: name, named: map[string]*section{}, env: env}
	if len(data) > migration.MaxBytes {
		f.errs = Errors{{File: name, Message: fmt.Sprintf("the file has more than %d bytes", migration.MaxBytes), Hint: "import a part of it"}}
		return f
	}
	texts := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	f.lines = make([]Line, len(texts))
	for i, text := range texts {
		text = strings.TrimRight(text, "\r")
		f.lines[i] = Line{Number: i + 1, Text: printable(strings.TrimSpace(code(text)))}
		f.readLine(&f.lines[i], text)
	}
	return f
}

func (f *file) readLine(l *Line, text string) {
	words, err := split(text, f.env)
	if err != nil {
		l.Text = maskUnread(l.Text)
		f.fail(l, err.Error(), "see §2.2 of HAProxy's configuration manual: \\ escapes, \"…\" and '…' quote")
		return
	}
	if len(words) == 0 {
		return
	}
	d := &directive{Line: l, words: words}
	if first := d.word(0); (first == "no" || first == "default") && len(words) > 1 {
		d.no, d.words = true, words[1:]
	}
	d.mask()
	switch {
	case strings.HasPrefix(d.word(0), "."):
		f.condition(d)
	case slices.Contains(kinds, d.word(0)) && !d.no:
		f.open(d)
	case len(f.sections) == 0 && len(f.errs) > 0: // one error is enough
	case len(f.sections) == 0:
		f.fail(l, "this line is in no section", "a haproxy.cfg begins with global, defaults, frontend, backend or listen: is this one?")
	default:
		s := f.sections[len(f.sections)-1]
		s.directives = append(s.directives, d)
		if s.kind == "global" {
			f.env.remember(d)
		}
	}
}

// condition handles the directives of the preprocessor (§2.4). Directives that choose lines
// depend on the machine that HAProxy runs on.
func (f *file) condition(d *directive) {
	switch d.word(0) {
	case ".diag", ".notice", ".warning", ".alert":
		d.note(LeftOut, "HAProxy prints a message when it reads this line; nothing depends on it")
	default:
		f.fail(d.Line, "which lines hold depends on "+d.word(0)+", which only the running HAProxy can tell", "keep the lines that hold on your machine, remove the others and the condition, and import that")
	}
}

func (f *file) open(d *directive) {
	s := &section{head: d, kind: d.word(0), name: d.word(1)}
	f.sections = append(f.sections, s)
	switch s.kind {
	case "defaults", "frontend", "backend", "listen":
		f.inherit(s)
	}
	if s.kind != "defaults" {
		return
	}
	f.defaults = s
	if s.name == "from" { // "defaults from base" has no name
		s.name = ""
	}
	if s.name != "" {
		f.named[s.name] = s
	}
}

// inherit finds the defaults section of a proxy: the one that it names, or else the last one
// above it. A defaults section inherits only from a section that it names.
func (f *file) inherit(s *section) {
	if s.kind != "defaults" {
		s.parent = f.defaults
	}
	at := slices.Index(s.head.args(1), "from")
	if at < 0 || at == 0 && s.kind != "defaults" {
		return
	}
	name := s.head.word(at + 2)
	if s.parent = f.named[name]; s.parent == nil {
		f.fail(s.head.Line, fmt.Sprintf("there are no defaults called %q above this line", name), "name a defaults section that comes earlier")
	}
}

func (f *file) fail(l *Line, message, hint string) {
	e := Error{File: f.name, Line: l.Number, Text: l.Text, Message: message, Hint: hint}
	if !slices.Contains(f.errs, e) { // a line may set several things
		f.errs = append(f.errs, e)
	}
}
