package migration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// parts are the parts of the summary, in order, each with its verdicts and the text if there
// are no notes; the first part has the report's own.
var parts = []struct {
	title    string
	verdicts []Verdict
	none     string
}{
	{"What moves", []Verdict{Moves}, ""},
	{"What stops working", []Verdict{Stops}, "nothing that is in the file"},
	{"What to decide", []Verdict{Decide, Unknown}, "nothing else"},
}

// summary returns the part of the report that the operator must read before the switch.
func (r *Report) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d lines", r.File, r.Backend, len(r.Lines))
	for v := Took; v <= Decide; v++ {
		fmt.Fprintf(&b, ", %d %s", r.Count(v), v)
	}
	fmt.Fprintf(&b, ", %d empty\n", len(r.rest()))
	for _, part := range parts {
		fmt.Fprintf(&b, "\n%s\n", part.title)
		points := r.points(part.verdicts)
		if len(points) == 0 {
			fmt.Fprintf(&b, "  %s%s\n", cmp.Or(part.none, r.Stays), r.unless(part.verdicts[0]))
		}
		for _, p := range points {
			fmt.Fprintf(&b, "  %s\n      %s\n", p.where(), p.note)
		}
	}
	if open := r.open(); len(open) > 0 {
		fmt.Fprintf(&b, "\nBefore lb takes over, look at line(s) %s.\n", ranges(open))
	}
	return b.String()
}

// unless returns the exception to "no token moves", "" if there is none.
func (r *Report) unless(v Verdict) string {
	for i := range r.Lines {
		if v == Moves && slices.Contains(r.Lines[i].Notes, r.Except) {
			return fmt.Sprintf(", unless %s (line %d)", r.Unless, r.Lines[i].Number)
		}
	}
	return ""
}

// open returns the numbers of the lines that need the operator.
func (r *Report) open() []int {
	var numbers []int
	for i := range r.Lines {
		if r.Lines[i].Verdict() >= Unknown {
			numbers = append(numbers, r.Lines[i].Number)
		}
	}
	return numbers
}

// A point is one note and the lines that it is about.
type point struct {
	note  string
	lines []*Line
}

// where returns the numbers of the lines, and the text of the first one.
func (p *point) where() string {
	var numbers []int
	for _, l := range p.lines {
		numbers = append(numbers, l.Number)
	}
	text := Cut(p.lines[0].Text)
	if len(p.lines) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(p.lines)-1)
	}
	return ranges(numbers) + ": " + text
}

// points returns the notes with some verdicts, in the order of the file, each once.
func (r *Report) points(of []Verdict) []*point {
	var points []*point
	byNote := map[string]*point{}
	for i := range r.Lines {
		l := &r.Lines[i]
		for _, n := range l.Notes {
			if !slices.Contains(of, n.Verdict) {
				continue
			}
			p := byNote[n.Text]
			if p == nil {
				p = &point{note: n.Text}
				byNote[n.Text] = p
				points = append(points, p)
			}
			p.lines = append(p.lines, l)
		}
	}
	return points
}
