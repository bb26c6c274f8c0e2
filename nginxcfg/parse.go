package nginxcfg

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"tokenring/migration"
)

// A directive is a statement of an nginx.conf, with its block if it has one.
type directive struct {
	*migration.Line // on which it begins
	name            string
	args            []string
	last            int // the number of its last line
	block           bool
	body            []*directive
	within          *directive // nil at the top
	noted           bool       // it has a note of its own
	whole           bool       // its note is about all of its block
}

// note adds a note to the line, once.
func (d *directive) note(v migration.Verdict, text string) {
	d.noted = true
	d.Add(v, text)
}

// noteWhole adds a note that is about the directive with all of its block.
func (d *directive) noteWhole(v migration.Verdict, text string) {
	d.note(v, text)
	d.whole = true
}

// arg returns the i-th argument, "" if there are fewer.
func (d *directive) arg(i int) string {
	if i >= len(d.args) {
		return ""
	}
	return d.args[i]
}

// all returns the directives of the block with a name.
func (d *directive) all(name string) []*directive {
	var found []*directive
	for _, one := range d.body {
		if one.name == name {
			found = append(found, one)
		}
	}
	return found
}

// first returns the first directive of the block with one of some names, nil if there is none.
func (d *directive) first(names ...string) *directive {
	for _, one := range d.body {
		if slices.Contains(names, one.name) {
			return one
		}
	}
	return nil
}

// force returns the directives with a name that are in force in the block: its own, or else those
// of the nearest block around it that has any.
func (d *directive) force(names ...string) []*directive {
	for at := d; at != nil; at = at.within {
		var found []*directive
		for _, one := range at.body {
			if slices.Contains(names, one.name) {
				found = append(found, one)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// A file is an nginx.conf that has been read, with the files that it includes. Lines are numbered
// as in what nginx -T prints, if there are such files.
type file struct {
	name   string
	prefix string // the directory to which names of files are relative
	lines  []*migration.Line
	parts  []part
	tokens [][]token // of each part
	root   *directive
	files  fs.FS // may be nil
	errs   migration.Errors
}

// A part is the text of one file.
type part struct {
	path  string
	first int // the number of its first line
	text  string
}

// marker begins the line above each file in what nginx -T prints.
const marker = "# configuration file "

// deepest bounds files that include files.
const deepest = 16

// readFile reads data, and the files that it includes from files, which may be nil.
func readFile(name string, data []byte, files fs.FS) *file {
	f := &file{name: name, files: files, prefix: "/etc/nginx", root: &directive{Line: &migration.Line{}, block: true}}
	if len(data) > migration.MaxBytes {
		f.errs = migration.Errors{{File: name, Message: fmt.Sprintf("the file has more than %d bytes", migration.MaxBytes), Hint: "import a part of it"}}
		return f
	}
	if path.IsAbs(name) {
		f.prefix = path.Dir(name)
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	if !strings.HasPrefix(text, marker) && !strings.Contains(text, "\n"+marker) {
		text = dump(name, f.prefix, text, files)
	}
	f.cut(text)
	main := f.parts[0]
	if path.IsAbs(main.path) {
		f.prefix = path.Dir(main.path)
	}
	f.parse(main, f.root, nil)
	f.show()
	return f
}

// dump returns what nginx -T prints: the text, and behind it those of the files that it includes.
// It returns the text alone if it finds no such file.
func dump(name, prefix, text string, files fs.FS) string {
	if files == nil {
		return text
	}
	var all strings.Builder
	seen := map[string]bool{}
	var add func(name, text string, depth int)
	add = func(name, text string, depth int) {
		fmt.Fprintf(&all, "%s%s:\n%s\n", marker, name, text)
		tokens, _, _ := split(text, 1)
		for i, t := range tokens {
			begins := i == 0 || tokens[i-1].mark != 0
			if !begins || t.text != "include" || i+1 == len(tokens) || depth == deepest || all.Len() > migration.MaxBytes {
				continue
			}
			found, _ := fs.Glob(files, strings.TrimPrefix(resolve(prefix, tokens[i+1].text), "/"))
			for _, one := range found {
				if data, err := fs.ReadFile(files, one); err == nil && !seen[one] {
					seen[one] = true
					add("/"+one, strings.ReplaceAll(string(data), "\r\n", "\n"), depth+1)
				}
			}
		}
	}
	add(name, text, 0)
	if len(seen) == 0 {
		return text
	}
	return all.String()
}

// resolve returns the path of a file that is named in a file of nginx.
func resolve(prefix, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(prefix, name)
}

// cut cuts a text into its lines, and into parts at the lines of nginx -T.
func (f *file) cut(text string) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	begin, name := 0, f.name
	end := func(i int) {
		f.parts = append(f.parts, part{name, begin + 1, strings.Join(lines[begin:i], "\n")})
	}
	for i, line := range lines {
		f.lines = append(f.lines, &migration.Line{Number: i + 1})
		if rest, ok := strings.CutPrefix(line, marker); ok {
			if name != f.name || begin != 0 {
				end(i)
			}
			begin, name = i+1, strings.TrimSuffix(rest, ":")
		}
	}
	end(len(lines))
}

func (f *file) fail(line int, message, hint string) {
	f.errs = append(f.errs, migration.Error{File: f.name, Line: line, Message: message, Hint: hint})
}

// parse adds the directives of a part to a block.
func (f *file) parse(p part, to *directive, above []string) {
	rest, line, err := split(p.text, p.first)
	f.tokens = append(f.tokens, rest)
	if err != nil {
		f.fail(line, err.Error(), "nginx -t says the same; put quotes around the whole word")
		return
	}
	block := to
	var now *directive
	for i := range rest {
		t := &rest[i]
		switch {
		case t.mark == 0 && now == nil:
			now = &directive{Line: f.lines[t.line-1], name: t.text, within: block}
		case t.mark == 0:
			now.args = append(now.args, t.text)
		case t.mark == '}' && now == nil && block != to:
			t.by = block
			block.last, block = t.line, block.within
			continue
		case now == nil || t.mark == '}':
			f.fail(t.line, fmt.Sprintf("there is a %c where it can't be", t.mark), "nginx -t names the line, too")
			return
		}
		t.by = now
		if t.mark == 0 {
			continue
		}
		if t.mark == '{' && now.name == "include" {
			f.fail(t.line, "an include ends with a semicolon, and has no block", "nginx -t names the line, too")
			return
		}
		now.last = t.line
		block.body = append(block.body, now)
		if t.mark == '{' {
			now.block, block = true, now
		} else if now.name == "include" {
			f.include(now, block, append(above, p.path))
		}
		now = nil
	}
	if now != nil || block != to {
		f.fail(max(p.first, p.first+strings.Count(strings.TrimRight(p.text, blanks), "\n")), "the file ends within a directive or a block", "nginx -t names the line; is a ; or a } missing?")
	}
}

// include parses the files that a directive includes, in the place of it.
func (f *file) include(d, block *directive, above []string) {
	pattern := resolve(f.prefix, d.arg(0))
	found := 0
	for _, p := range f.parts[1:] {
		if ok, err := path.Match(pattern, p.path); err != nil || !ok {
			continue
		}
		if slices.Contains(above, p.path) || len(above) > deepest {
			f.fail(d.Number, "the file includes itself, or files are too deep in one another", "nginx -t says the same")
			return
		}
		found++
		f.parse(p, block, above)
	}
	switch {
	case found > 0:
		d.note(migration.Took, fmt.Sprintf("%d file(s): the lines are further below, as nginx -T prints them", found))
	case strings.Contains(pattern, "*") && f.there(path.Dir(pattern)):
		d.note(migration.Took, "there is no such file: nginx includes nothing")
	case slices.Contains(harmless, path.Base(pattern)) || strings.Contains(pattern, "/modules-enabled/"):
		d.note(migration.LeftOut, "it has types of files, parameters of other protocols or modules; lb serves no files, speaks HTTP only and has no modules")
	default:
		d.note(migration.Decide, "there is no such file on this machine, and what it sets is missing here. Import what nginx -T prints on nginx's machine: nginx -T | lb import -")
	}
}

// there reports whether the machine has a directory of nginx's.
func (f *file) there(dir string) bool {
	if f.files == nil {
		return false
	}
	info, err := fs.Stat(f.files, strings.TrimPrefix(dir, "/"))
	return err == nil && info.IsDir()
}

// harmless are the files of nginx's packages that set nothing that lb could have.
var harmless = []string{"mime.types", "fastcgi_params", "fastcgi.conf", "scgi_params", "uwsgi_params"}
