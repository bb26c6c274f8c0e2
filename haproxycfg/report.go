package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Verdict is what became of a line of haproxy.cfg, or of a part of one.
type Verdict int

// The verdicts, the gravest last.
const (
	Took    Verdict = iota // lb.yaml says the same
	Changed                // lb.yaml serves the same end in another way; the note says what differs
	LeftOut                // lb.yaml has nothing for it; the note says why that matters
	Unknown                // no keyword that is known here; the note says where
	Decide                 // somebody has to decide before lb.yaml can take over
)

var verdicts = [...]string{"took", "changed", "left out", "unknown", "decide"}

// String returns the verdict as the report has it.
func (v Verdict) String() string { return verdicts[v] }

// A Note is one thing that became of a line.
type Note struct {
	Verdict Verdict
	Text    string
}

// A Line is one line of haproxy.cfg and what became of it. A line without notes
// is empty or a comment.
type Line struct {
	Number int    // from 1
	Text   string // as in the file, without surrounding blanks and a comment; what may be secret is masked
	Notes  []Note
}

// Verdict returns the gravest verdict among the notes; Took if there are none.
func (l *Line) Verdict() Verdict {
	gravest := Took
	for _, n := range l.Notes {
		gravest = max(gravest, n.Verdict)
	}
	return gravest
}

// note adds a note, once. What it repeats of the line is masked as the line is.
func (l *Line) note(v Verdict, text string) {
	if n := (Note{v, maskInside(text)}); !slices.Contains(l.Notes, n) {
		l.Notes = append(l.Notes, n)
	}
}

// A Report says what became of each line, in the order of the file.
type Report struct {
	File  string
	Lines []Line
}

// Count returns how many lines have the verdict; those that are empty or
// comments have none.
func (r *Report) Count(v Verdict) int {
	n := 0
	for i := range r.Lines {
		if l := &r.Lines[i]; len(l.Notes) > 0 && l.Verdict() == v {
			n++
		}
	}
	return n
}

// String returns the report for a terminal. Each line of the file appears in it
// once: by itself with its notes, or among the numbers of the empty ones.
func (r *Report) String() string {
	var b strings.Builder
	var empty []int
	for i := range r.Lines {
		l := &r.Lines[i]
		if len(l.Notes) == 0 {
			empty = append(empty, l.Number)
			continue
		}
		fmt.Fprintf(&b, "%s:%d: %s\n", r.File, l.Number, l.Text)
		for _, n := range l.Notes {
			fmt.Fprintf(&b, "    %-9s %s\n", n.Verdict, n.Text)
		}
	}
	if len(empty) > 0 {
		fmt.Fprintf(&b, "%s: empty or comments: %s\n", r.File, ranges(empty))
	}
	b.WriteString(r.summary(len(empty)))
	return b.String()
}

func (r *Report) summary(empty int) string {
	parts := []string{fmt.Sprintf("%d lines", len(r.Lines))}
	for v := Took; v <= Decide; v++ {
		parts = append(parts, fmt.Sprintf("%d %s", r.Count(v), v))
	}
	text := fmt.Sprintf("%s: %s, %d empty\n", r.File, strings.Join(parts, ", "), empty)
	var open []int
	for i := range r.Lines {
		if r.Lines[i].Verdict() >= Unknown {
			open = append(open, r.Lines[i].Number)
		}
	}
	if len(open) > 0 {
		text += fmt.Sprintf("Before lb takes over, look at line(s) %s.\n", ranges(open))
	}
	return text
}

// ranges writes ascending numbers as 1, 3-5.
func ranges(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		part := fmt.Sprint(numbers[i])
		if j > i {
			part += fmt.Sprintf("-%d", numbers[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// An Error is one thing for which a haproxy.cfg can't be imported.
type Error struct {
	File    string
	Line    int    // from 1; 0 when it is about the whole file
	Text    string // the line, masked
	Message string // what is wrong
	Hint    string // what to do
}

// Error returns the message with the line below it, both cut if they are long.
func (e Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s\n   %s", e.File, cut(e.Message), e.Hint)
	}
	return fmt.Sprintf("%s:%d: %s\n   %d | %s\n   %s", e.File, e.Line, cut(e.Message), e.Line, cut(e.Text), e.Hint)
}

// cut shortens text that would fill a terminal.
func cut(text string) string {
	const most = 200
	n := 0
	for i := range text {
		if n++; n > most {
			return text[:i] + "…"
		}
	}
	return text
}

// Errors is all for which a haproxy.cfg can't be imported, in the order of its
// lines; never empty.
type Errors []Error

// Error returns all messages, with an empty line between two.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n\n")
}

// printable makes text fit for a terminal and for a comment of lb.yaml.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			return '·'
		}
		return r
	}, text)
}
