// Package nginxcfg reads an nginx.conf and writes the lb.yaml that replaces it: the same listeners,
// names and locations, and, if nginx hashes a key with `consistent`, its own ring, so that no token
// moves. The report says what happened to each line, as that of package haproxycfg does.
//
// A note of the report says what lb does, or what happens to users. A test makes sure that
// testdata/nginxcfg/claims.txt has the text of each note, with the test that proves it.
//
// The package reads the grammar of nginx 1.22. Of the machine it reads only the files that the file
// includes, and whether those with certificates are there.
package nginxcfg

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"tokenring/migration"
)

// The verdicts, as in every report.
const (
	took    = migration.Took
	changed = migration.Changed
	leftOut = migration.LeftOut
	unknown = migration.Unknown
	decide  = migration.Decide
	stops   = migration.Stops
	moves   = migration.Moves
)

// Options say what to import, and what the import may read.
type Options struct {
	// Backend is the name of the upstream whose hosts become the section pool. It may be empty if
	// only one hashes a key, or if there is only one.
	Backend string
	// Files is the root of the file system that has the files that are included, and the
	// certificates. If it is nil, the report asks the operator for them.
	Files fs.FS
}

// A Result is the result of an import.
type Result struct {
	YAML   []byte // the lb.yaml, with comments that name the lines it comes from
	Report *migration.Report
}

// Import reads the nginx.conf in data, or what nginx -T prints. name is its file name in errors and
// in the report; names of files in it are relative to its directory. The error is a
// migration.Errors; the result is nil then.
func Import(name string, data []byte, options Options) (*Result, error) {
	f := readFile(name, data, options.Files)
	t := &translation{file: f, plan: newPlan(), differs: map[*upstream]bool{}}
	if len(f.errs) == 0 {
		t.collect()
		t.choose(options.Backend)
	}
	if len(f.errs) > 0 {
		slices.SortStableFunc(f.errs, func(a, b migration.Error) int { return cmp.Compare(a.Line, b.Line) })
		return nil, f.errs
	}
	t.translate()
	t.sweep(f.root)
	t.plan.from = fmt.Sprintf("%s, %s", name, t.main)
	report := &migration.Report{File: name, Backend: t.main.String(), Stays: "no token: each goes where nginx's ring sends it"}
	for _, l := range f.lines {
		report.Lines = append(report.Lines, *l)
	}
	return &Result{YAML: t.plan.yaml(), Report: report}, nil
}

// Looks reports whether a text looks like an nginx.conf rather than a haproxy.cfg: the first line
// that is one or the other decides. It reports false for neither.
func Looks(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		word, _, _ := strings.Cut(line, " ")
		switch end := line[max(0, len(line)-1):]; {
		case strings.HasPrefix(line, marker):
			return true
		case line == "" || line[0] == '#':
		case end == ";" || end == "{" || end == "}":
			return true
		case slices.Contains(otherSections, word):
			return false
		}
	}
	return false
}

// otherSections begin the sections of a haproxy.cfg.
var otherSections = []string{"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist"}

// A translation is an nginx.conf that is being translated into a plan.
type translation struct {
	*file
	plan      *plan
	http      *directive // the block http, or the root of a file that is included there
	upstreams []*upstream
	main      *upstream // whose hosts are the section pool
	servers   []*server
	differs   map[*upstream]bool // locations of it change fields in different ways
}

// collect finds the parts of the file.
func (t *translation) collect() {
	t.http = cmp.Or(t.root.first("http"), t.root)
	for _, d := range t.http.all("upstream") {
		t.upstreams = append(t.upstreams, t.readUpstream(d))
	}
	for _, d := range t.http.all("server") {
		t.servers = append(t.servers, t.readServer(d))
	}
	if len(t.servers) == 0 && len(t.errs) == 0 {
		t.fail(0, "there is no server in it", "import the whole configuration: nginx -T | lb import -; is this an nginx.conf?")
	}
}

// choose finds the upstream whose hosts are the section pool.
func (t *translation) choose(name string) {
	var named, keyed, used []*upstream
	for _, u := range t.upstreams {
		if u.name == name {
			named = append(named, u)
		}
		if len(t.passesTo(u)) == 0 {
			continue
		}
		used = append(used, u)
		if u.keyed() {
			keyed = append(keyed, u)
		}
	}
	switch {
	case len(t.errs) > 0:
	case name != "" && len(named) == 0:
		t.fail(0, fmt.Sprintf("there is no upstream %q", name), "choose one of: "+names(t.upstreams))
	case name != "":
		t.main = named[0]
	case len(keyed) == 1:
		t.main = keyed[0]
	case len(keyed) == 0 && len(used) == 1:
		t.main = used[0]
	case len(used) == 0:
		t.fail(0, "no location sends requests to hosts", "lb needs hosts: import the file that has proxy_pass with a server's name or an upstream's")
	default:
		t.fail(0, "several upstreams could have the hosts of IDEs", "choose one of "+names(used)+" with --backend; the others become pools beside it")
	}
}

func names(all []*upstream) string {
	var list []string
	for _, u := range all {
		list = append(list, u.name)
	}
	return strings.Join(list, ", ")
}

// translate translates the parts into the plan.
func (t *translation) translate() {
	if t.http != t.root {
		t.http.note(took, "settings of all servers")
	}
	t.noteUpgrades()
	t.networks()
	t.listeners()
	t.certificates()
	t.routes()
	t.pools()
	t.settings()
}

// sweep adds notes to the directives that have none.
func (t *translation) sweep(block *directive) {
	for _, d := range block.body {
		switch {
		case d.noted:
		case d.name == "include":
		default:
			d.noteReason()
		}
		if d.block && !d.whole {
			t.sweep(d)
		}
		for n := d.Number + 1; n <= d.last && n <= len(t.lines); n++ {
			if l := t.lines[n-1]; len(l.Notes) == 0 && l.Within == 0 && l.Text != "" && (!d.block || d.whole) {
				l.Within = d.Number
			}
		}
		if last := t.lines[d.last-1]; d.block && !d.whole && len(last.Notes) == 0 && last.Within == 0 {
			last.Add(took, "the end of the block")
		}
		if d.whole {
			t.sweepElsewhere(d)
		}
	}
}

// sweepElsewhere notes at the lines of files that a block includes that its note is about them.
func (t *translation) sweepElsewhere(block *directive) {
	for _, d := range block.body {
		if d.Number < block.Number || d.Number > block.last {
			d.note(leftOut, "the block that includes this file is left out")
		}
		t.sweepElsewhere(d)
	}
}
