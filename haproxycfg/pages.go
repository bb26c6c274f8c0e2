package haproxycfg

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"tokenring/proxy/localreply"
)

const whyPages = "lb leaves out the head of an errorfile, so its fields aren't sent. Clients that ask for HTML get the page, others get JSON"

// takeErrorFile handles errorfile <status> <file>.
func takeErrorFile(t *translation, d *directive) {
	for _, below := range t.proxy.chain() {
		if below.Number > d.Number && below.word(0) == d.word(0) && below.word(1) == d.word(1) {
			d.note(LeftOut, fmt.Sprintf("overridden for %q by line %d", t.proxy, below.Number))
			return
		}
	}
	t.page(d, d.word(1), d.word(2))
}

// takeErrorFiles handles errorfiles <section> [<status>…].
func takeErrorFiles(t *translation, d *directive) {
	for _, s := range t.sections {
		if s.kind != "http-errors" || s.name != d.word(1) {
			continue
		}
		for _, one := range s.directives {
			if wanted := d.args(2); one.word(0) == "errorfile" && (len(wanted) == 0 || slices.Contains(wanted, one.word(1))) {
				t.page(one, one.word(1), one.word(2))
			}
		}
		d.note(Took, "the pages of that section are in pages.html")
		if !slices.Contains(t.others, s) {
			s.head.note(Took, "its files are in pages.html")
			t.others = append(t.others, s)
		}
		return
	}
	d.leaveOut()
}

// takeHTTPError handles http-error status <status> … file|errorfile <file>.
func takeHTTPError(t *translation, d *directive) {
	file := d.option("errorfile")
	if file == "" {
		file = d.option("file")
	}
	if file == "" {
		d.leaveOut()
		return
	}
	t.page(d, d.option("status"), file)
}

// page has lb answer a status with the page in a file.
func (t *translation) page(d *directive, status, file string) {
	code, err := strconv.Atoi(status)
	text, readable := t.read(file)
	empty := file == "/dev/null" || readable && len(localreply.WithoutHead(text)) == 0
	switch {
	case t.pool != "":
		d.note(LeftOut, "lb has one page of each status, and none for a pool alone")
	case err != nil || code < 400 || code > 599:
		d.note(LeftOut, "only errors have pages in lb, with statuses from 400 to 599")
	case empty:
		d.note(LeftOut, "there is nothing in the file: clients that HAProxy lets go without an answer get lb's own page")
	default:
		s := t.plan.pages[code]
		s.set(d, "pages.html."+status, quote(file), whyPages)
		t.plan.pages[code] = s
		if !readable && t.files != nil {
			d.note(Decide, file+" can't be read on this machine: copy it to the path that lb.yaml names")
		}
		if said := statusOf(text); said != "" && said != status {
			d.note(Changed, "the file says "+said+": lb answers with "+status)
		}
	}
}

// read returns the content of a file that the configuration names.
func (t *translation) read(file string) (text []byte, ok bool) {
	if t.files == nil || !path.IsAbs(file) {
		return nil, false
	}
	text, err := fs.ReadFile(t.files, inRoot(file))
	return text, err == nil
}

// statusOf returns the status in the head of an errorfile, "" if it has none.
func statusOf(text []byte) string {
	line, _, _ := strings.Cut(string(text), "\n")
	words := strings.Fields(line)
	if !strings.HasPrefix(line, "HTTP/1.") || len(words) < 2 {
		return ""
	}
	return words[1]
}

// writePages writes pages.
func (p *plan) writePages(w *writer) {
	if len(p.pages) == 0 {
		return
	}
	w.line("pages:")
	w.line("  html:")
	for code := 400; code < 600; code++ {
		w.set("  "+strconv.Itoa(code), p.pages[code])
	}
}
