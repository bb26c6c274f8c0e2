package haproxycfg

import (
	"slices"

	"tokenring/migration"
)

// An origin says where the value of a variable comes from.
type origin int

const (
	unknown  origin = iota
	set             // the file sets it, whatever HAProxy is started with
	borrowed        // from presetenv or from the import's own environment: HAProxy's value may differ
)

// An environment has the known values of HAProxy's variables at a line of the file. A nil
// environment has none.
type environment struct {
	set    map[string]string // by setenv
	preset map[string]string // by presetenv: HAProxy uses these unless it is started with a value
	unset  map[string]bool   // by unsetenv: their values aren't known
	lookup func(name string) (value string, ok bool)
}

func newEnvironment(lookup func(string) (string, bool)) *environment {
	if lookup == nil {
		lookup = func(string) (string, bool) { return "", false }
	}
	return &environment{set: map[string]string{}, preset: map[string]string{}, unset: map[string]bool{}, lookup: lookup}
}

// naming are the keywords whose words are names. The value of a variable there isn't a
// secret, whatever the variable's name.
var naming = []string{
	"balance", "hash-type", "hash-balance-factor", "bind", "server", "server-template", "default-server", "default_backend", "use_backend", "mode",
	"timeout", "maxconn", "cookie", "ca-base", "crt-base", "tune.bufsize", "tune.http.maxhdr",
}

// value returns the value of a variable on a line that begins with keyword. If it may be a
// secret, it is unknown, because notes repeat words of lines.
func (e *environment) value(name, keyword string) (string, origin) {
	if e == nil || name == "" || migration.SecretName().MatchString(name) && !slices.Contains(naming, keyword) {
		return "", unknown
	}
	if value, ok := e.set[name]; ok {
		return value, set
	}
	if e.unset[name] {
		return "", unknown
	}
	if value, ok := e.lookup(name); ok {
		return value, borrowed
	}
	if value, ok := e.preset[name]; ok {
		return value, borrowed
	}
	return "", unknown
}

// remember applies a line of the global section to the variables.
func (e *environment) remember(d *directive) {
	switch name := d.word(1); d.word(0) {
	case "setenv", "presetenv":
		e.assign(d, name)
	case "unsetenv":
		for _, name := range d.args(1) {
			e.forget(name)
		}
	case "resetenv": // removes all variables except those that it names
		*e = *newEnvironment(nil)
	}
}

// assign applies setenv or presetenv NAME VALUE. If VALUE has an unknown variable, the value
// of NAME is unknown.
func (e *environment) assign(d *directive, name string) {
	preset := d.word(0) == "presetenv"
	_, isSet := e.set[name]
	if _, isPreset := e.preset[name]; preset && (isSet || isPreset) {
		return
	}
	e.forget(name)
	switch {
	case len(d.words) != 3 || d.variable() != "":
	case preset:
		delete(e.unset, name)
		e.preset[name] = d.word(2)
	default:
		e.set[name] = d.word(2)
	}
}

func (e *environment) forget(name string) {
	delete(e.set, name)
	delete(e.preset, name)
	e.unset[name] = true
}
