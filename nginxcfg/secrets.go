package nginxcfg

import (
	"slices"
	"strings"

	"tokenring/migration"
)

// show writes the text of each line of the report: its words, without comments and without what may
// be a secret.
func (f *file) show() {
	texts := make([]strings.Builder, len(f.lines))
	for _, part := range f.tokens {
		for i := range part {
			t, b := &part[i], &texts[part[i].line-1]
			switch {
			case t.by == nil && b.Len() > 0: // the file can't be read from here on
				continue
			case b.Len() > 0 && t.mark != ';':
				b.WriteByte(' ')
			}
			b.WriteString(t.shown(part[:i]))
		}
	}
	for i := range f.lines {
		f.lines[i].Text = migration.Printable(strings.ReplaceAll(texts[i].String(), "\n", " "))
	}
	for i := range f.errs {
		if n := f.errs[i].Line; n > 0 {
			f.errs[i].Text = f.lines[n-1].Text
		}
	}
}

// shown returns a token as it stands in the report. before are the tokens before it.
func (t *token) shown(before []token) string {
	if t.mark != 0 || t.by == nil {
		return t.raw
	}
	place := 0 // 0 is the directive's name
	for i := len(before) - 1; i >= 0 && before[i].by == t.by; i-- {
		place++
	}
	if t.by.hides(place) {
		return migration.Masked
	}
	return migration.MaskInside(t.raw)
}

// hides reports whether the i-th word of a directive, its name being the first, may be a secret.
func (d *directive) hides(i int) bool {
	switch {
	case d.within != nil && slices.Contains(tables, d.within.name):
		return d.within.hidesRows() && d.name != "default" && d.name != ""
	case i == 0:
		return false
	case strings.HasSuffix(d.name, "_set_header") || d.name == "add_header":
		return i == 2 && hiddenValue(d.arg(0), d.arg(1))
	case d.name == "set":
		return i == 2 && migration.SecretName().MatchString(d.arg(0)) && !strings.HasPrefix(d.arg(1), "$")
	case d.name == "if":
		return i > 1 && comparesSecret(d.args) && d.arg(i-1) != ")" && !slices.Contains(operators, d.arg(i-1))
	}
	return strings.HasPrefix(d.name, "secure_link_")
}

// tables are the blocks with rows of values.
var tables = []string{"map", "geo", "split_clients"}

var operators = []string{"=", "!=", "~", "~*", "!~", "!~*"}

// hidesRows reports whether rows of a table may have what users send as a secret.
func (d *directive) hidesRows() bool {
	return d.name == "map" && comparesSecret(d.args[:min(1, len(d.args))])
}

// hiddenValue reports whether the value of a field may be a secret.
func hiddenValue(name, value string) bool {
	return !migration.PublicField(name) && (migration.SecretName().MatchString(name) || !strings.HasPrefix(value, "$")) && value != ""
}

// comparesSecret reports whether words have a variable with what a user sends, whose values may be
// secrets.
func comparesSecret(words []string) bool {
	for _, w := range words {
		w = strings.TrimLeft(w, "(")
		if name, ok := strings.CutPrefix(w, "$http_"); ok && migration.PublicField(strings.ReplaceAll(name, "_", "-")) {
			continue
		}
		for _, begin := range []string{"$http_", "$arg", "$cookie_", "$query_string", "$request_uri", "$secure_link"} {
			if strings.HasPrefix(w, begin) {
				return true
			}
		}
	}
	return false
}
