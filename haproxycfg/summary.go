package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
)

// The parts of the summary, in their order: what is known of whom, and what to
// say if there is nothing.
var parts = []struct {
	title    string
	verdicts []Verdict
	none     string
}{
	{"What moves", []Verdict{Moves}, "no token: each goes where HAProxy's ring sends it"},
	{"What stops working", []Verdict{Stops}, "nothing that is in the file"},
	{"What to decide", []Verdict{Decide, Unknown}, "nothing else"},
}

// summary is what has to be read before lb takes over.
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
			fmt.Fprintf(&b, "  %s%s\n", part.none, r.unless(part.verdicts[0]))
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

// unless says when it isn't so that no token moves.
func (r *Report) unless(v Verdict) string {
	for i := range r.Lines {
		if v == Moves && slices.Contains(r.Lines[i].Notes, Note{Changed, whyOldRing}) {
			return fmt.Sprintf(", unless HAProxy is 3.0.0 to 3.2.6 (line %d)", r.Lines[i].Number)
		}
	}
	return ""
}

// open returns the numbers of the lines that somebody has to look at.
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

// where names the lines: the numbers of all, and what the first one says.
func (p *point) where() string {
	var numbers []int
	for _, l := range p.lines {
		numbers = append(numbers, l.Number)
	}
	text := cut(p.lines[0].Text)
	if len(p.lines) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(p.lines)-1)
	}
	return ranges(numbers) + ": " + text
}

// points returns the notes of some verdicts in the order of the file, each once.
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
