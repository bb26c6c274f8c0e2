// Package haproxycfg reads a haproxy.cfg and writes the lb.yaml that replaces it: the same
// listeners, the same hosts with the ids that HAProxy gives them, and HAProxy's own ring,
// so that no token moves. A report says what happened to each line, because lines that
// aren't translated matter as much as the others.
//
// A note of the report says what lb does, or what happens to users. A test makes sure that
// testdata/haproxycfg/claims.txt has the text of each note, with the test that proves it.
//
// The package reads the grammar of HAProxy 2.6's configuration manual. Of the machine it
// reads only the certificates that the file names.
package haproxycfg

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Options say what to import, and what the import may read.
type Options struct {
	// Backend is the name of the backend or listen section to translate. It may be
	// empty if only one has servers.
	Backend string
	// Files is the root of the file system that has the certificates. If it is nil,
	// the report asks the operator to check them.
	Files fs.FS
	// Env looks up variables that HAProxy is started with; it may be nil. The import
	// uses their values, and the report says so.
	Env func(name string) (value string, ok bool)
}

// A Result is the result of an import.
type Result struct {
	YAML   []byte // the lb.yaml, with comments that name the lines it comes from
	Report *Report
	// Passwords are the files of users that lb.yaml names.
	Passwords []*Passwords
}

// Import reads the haproxy.cfg in data. name is its file name in errors and in the report.
// The error is an Errors; the result is nil then.
func Import(name string, data []byte, options Options) (*Result, error) {
	f := readFile(name, data, newEnvironment(options.Env))
	t := &translation{file: f, files: options.Files, plan: newPlan()}
	if len(f.errs) == 0 {
		t.choose(options.Backend)
	}
	if len(f.errs) == 0 {
		t.translate()
	}
	if len(f.errs) > 0 {
		slices.SortStableFunc(f.errs, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
		return nil, f.errs
	}
	t.sweep()
	t.plan.from = fmt.Sprintf("%s, %s", name, t.backend)
	report := &Report{
		File: name, Backend: t.backend.String(), Lines: f.lines,
		Stays:  "no token: each goes where HAProxy's ring sends it",
		Except: Note{Verdict: Changed, Text: whyOldRing}, Unless: oldRings,
	}
	return &Result{YAML: t.plan.yaml(), Report: report, Passwords: t.passwordFiles}, nil
}

// A translation is a haproxy.cfg that is being translated into a plan.
type translation struct {
	*file
	files     fs.FS
	plan      *plan
	backend   *section   // the backend that is translated
	fronts    []*section // the frontends that lead to it; a listen section is both
	proxy     *section   // the proxy that is being translated now
	judged    *section   // the proxy that onlyRedirects is about
	redirects []redirect
	refusals  []refusal
	spare     []pair     // of bind lines with addresses that lb doesn't listen on
	leading   *directive // with a directory of certificates, before all other certificates

	onlyRedirects bool
	pool          string       // the pool that is translated; "" is the main one
	others        []*section   // the backends that are pools beside the main one
	aborts        *directive   // option abortonclose, if it is in force
	unheard       []*directive // bind lines with an address that lb doesn't listen on
	version       version      // of TLS, for bind lines that don't set one
	versions      []version    // of the bind lines with TLS
}

// translate translates the sections. The handlers note at each directive what happens to
// it.
func (t *translation) translate() {
	for _, s := range t.sections {
		if s.kind == "global" {
			s.head.note(Took, "settings of the process")
			t.apply(s, s.directives, globalHandlers)
		}
	}
	for _, s := range t.fronts {
		t.apply(s, s.force(), frontHandlers)
	}
	t.servers()
	t.apply(t.backend, t.backend.force(), backHandlers)
	t.finish()
}

// A handler translates one directive into the plan, and notes what it did.
type handler func(*translation, *directive)

// apply calls the handler of each directive. A directive without a handler is looked up
// among the keywords that are left out.
func (t *translation) apply(s *section, all []*directive, handlers map[string]handler) {
	t.proxy = s
	for _, d := range all {
		handle, ok := handlers[d.key()]
		if !ok {
			handle, ok = handlers[d.word(0)]
		}
		switch {
		case !ok:
			d.leaveOut()
		case d.no && !slices.Contains(negatable, d.word(0)):
			d.note(LeftOut, "switched off here")
		default:
			handle(t, d)
			d.noteVariables()
		}
	}
}

// noteVariables notes the variables that the line depends on. A variable without a value is
// written to lb.yaml as it is, and lb check refuses it.
func (d *directive) noteVariables() {
	if name := d.borrowed(); name != "" {
		d.note(Decide, name+" has the value that the import's environment or presetenv gives it: make sure that HAProxy starts with the same value")
	}
	if name := d.variable(); name != "" && !d.asked {
		d.note(Decide, "the value of "+name+" is in HAProxy's environment, and the import doesn't guess it. lb check refuses lb.yaml as long as the variable is in it: write the value in its place. If the variable isn't in lb.yaml, check what the line means with its value")
	}
}

// negatable are the keywords whose handlers handle "no" themselves.
var negatable = []string{"option", "log"}

// leaveOut notes why a directive without a handler is left out, if the tables have it.
// sweep notes the others, because a keyword without a meaning in one proxy may have one in
// another.
func (d *directive) leaveOut() {
	if r := reasonOf(d); r != nil && d.no {
		d.note(LeftOut, "switched off in HAProxy: "+r.why)
	} else if r != nil {
		d.note(r.verdict, r.why)
	}
}

// sweep adds notes to the lines that have none.
func (t *translation) sweep() {
	for _, s := range t.sections {
		why := t.unused(s)
		if why == "" && len(s.head.Notes) == 0 {
			s.head.note(Took, "settings for proxies that don't set their own")
		} else if why != "" {
			s.head.note(LeftOut, why)
		}
		for _, d := range s.directives {
			if why != "" {
				d.Within = s.head.Number
			} else if len(d.Notes) == 0 {
				d.noteIdle()
			}
		}
	}
}

// noteIdle notes a directive of a section in use that had no effect.
func (d *directive) noteIdle() {
	_, front := frontHandlers[d.word(0)]
	_, back := backHandlers[d.word(0)]
	_, frontOption := frontHandlers[d.key()]
	_, backOption := backHandlers[d.key()]
	switch {
	case front || frontOption:
		d.note(LeftOut, "this is for frontends; no frontend that the import translates inherits it")
	case back || backOption:
		d.note(LeftOut, "this is for backends; the backend that the import translates doesn't inherit it")
	default:
		d.note(Unknown, fmt.Sprintf("%q isn't known to the import; look it up in HAProxy's manual and see whether you rely on it", strings.TrimSpace(d.key())))
	}
}

// unused returns why a section isn't translated, "" if it is.
func (t *translation) unused(s *section) string {
	switch {
	case s.kind == "global", s == t.backend, slices.Contains(t.fronts, s), slices.Contains(t.others, s):
		return ""
	case s.kind == "userlist" && len(s.head.Notes) > 0:
		return "" // a rule asks for its users
	case s.kind == "defaults":
		if t.inherited(s) {
			return ""
		}
		return "nothing that the import translates inherits from these defaults"
	case s.front():
		return fmt.Sprintf("no request goes from here to %q; clients of this %s still need HAProxy, or a balancer of their own", t.backend, s.kind)
	case s.kind == "backend":
		return fmt.Sprintf("no rule that lb has sends requests here; they go to %q", t.backend)
	}
	if why := sectionReasons[s.kind]; why != "" {
		return why
	}
	return "lb has nothing like this section"
}

// inherited reports whether a translated proxy inherits from s.
func (t *translation) inherited(s *section) bool {
	for _, user := range append(slices.Clone(t.fronts), t.backend) {
		for p := user.parent; p != nil; p = p.parent {
			if p == s {
				return true
			}
		}
	}
	return false
}
