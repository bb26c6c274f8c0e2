// Package haproxycfg reads a haproxy.cfg and writes the lb.yaml that takes over
// from it: the same listeners, the same hosts with the ids that HAProxy numbers
// them by, and HAProxy's own ring, so that no token moves. What became of each
// line is in a report, because what isn't taken over matters as much.
//
// A note of the report says what lb does, or what becomes of users. All texts are
// in testdata/haproxycfg/claims.txt with what holds lb to them, which a test wants.
//
// It reads the configuration manual's grammar as of HAProxy 2.6, and nothing of
// the machine but the certificates that the file names.
package haproxycfg

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Options say what to import, and what may be looked at for it.
type Options struct {
	// Backend names the backend or listen section to take over. It may be empty
	// if only one has servers.
	Backend string
	// Files is the root of the file system in which certificates are looked up.
	// Without it what needs a look is left to decide.
	Files fs.FS
	// Env looks up variables that HAProxy is started with; it may be nil. What it
	// finds is used, and the report says so.
	Env func(name string) (value string, ok bool)
}

// Result is what an import gives.
type Result struct {
	YAML   []byte // the lb.yaml, with comments that name the lines it comes from
	Report *Report
}

// Import reads the haproxy.cfg in data; errors and the report call it name. The
// error is an Errors, and there is no result then.
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
	return &Result{YAML: t.plan.yaml(), Report: &Report{File: name, Backend: t.backend.String(), Lines: f.lines}}, nil
}

// A translation is a haproxy.cfg on its way into a plan.
type translation struct {
	*file
	files     fs.FS
	plan      *plan
	backend   *section   // the one that is taken over
	fronts    []*section // that lead to it; a listen section is in both
	proxy     *section   // the one that is being translated
	judged    *section   // the proxy of which onlyRedirects is known
	redirects []redirect

	onlyRedirects bool
	aborts        *directive   // option abortonclose, if it is in force
	unheard       []*directive // bind lines with an address that lb doesn't listen on
	version       version      // of TLS, unless a bind line says another
	versions      []version    // of the bind lines with TLS
}

// translate goes through the sections that are taken over. Handlers note at
// each directive what becomes of it.
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

// A handler takes one directive into the plan and notes what it did.
type handler func(*translation, *directive)

// apply hands each directive to its handler. What has none is looked up among
// the keywords that are left out.
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

// noteVariables notes whose values the line depends on. What can't be read is
// written to lb.yaml as it stands there, and lb check refuses it.
func (d *directive) noteVariables() {
	if name := d.borrowed(); name != "" {
		d.note(Decide, name+" has the value that the import's environment or presetenv gives it: see that HAProxy is started with the same")
	}
	if name := d.variable(); name != "" && !d.asked {
		d.note(Decide, "the value of "+name+" belongs to HAProxy's environment and isn't guessed. lb check refuses lb.yaml for as long as the variable stands in it: write what it stands for. If it isn't in lb.yaml, see what the line means with its value")
	}
}

// negatable are the keywords whose handlers look at "no" themselves.
var negatable = []string{"option", "log"}

// leaveOut notes why a directive without a handler is left out, if it is one
// that the tables know. The others are noted by sweep, for a keyword without
// sense in one proxy may have some in another.
func (d *directive) leaveOut() {
	if r := reasonOf(d); r != nil && d.no {
		d.note(LeftOut, "switched off there: "+r.why)
	} else if r != nil {
		d.note(r.verdict, r.why)
	}
}

// sweep notes the lines that nothing has been said of.
func (t *translation) sweep() {
	for _, s := range t.sections {
		why := t.unused(s)
		if why == "" && len(s.head.Notes) == 0 {
			s.head.note(Took, "what holds unless a proxy says otherwise")
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
		d.note(LeftOut, "this is for frontends, and none that is taken over gets it")
	case back || backOption:
		d.note(LeftOut, "this is for backends, and the one that is taken over doesn't get it")
	default:
		d.note(Unknown, fmt.Sprintf("%q isn't known here; look it up in HAProxy's manual and see whether you rely on it", strings.TrimSpace(d.key())))
	}
}

// unused tells why a section has no part in the import, "" if it has one.
func (t *translation) unused(s *section) string {
	switch {
	case s.kind == "global", s == t.backend, slices.Contains(t.fronts, s):
		return ""
	case s.kind == "defaults":
		if t.inherited(s) {
			return ""
		}
		return "nothing that is taken over inherits from these defaults"
	case s.front():
		return fmt.Sprintf("nothing leads from here to %q; clients of this %s stay with HAProxy, or get a balancer of their own", t.backend, s.kind)
	case s.kind == "backend":
		return fmt.Sprintf("another backend than %q; one lb has one pool of hosts", t.backend)
	}
	if why := sectionReasons[s.kind]; why != "" {
		return why
	}
	return "lb has nothing like this section"
}

// inherited tells whether a proxy that is taken over inherits from s.
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
