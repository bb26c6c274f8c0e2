// Package migration has the report of an import: what became of each line of the configuration of
// another balancer. It also has what all imports need to write a report and an lb.yaml: texts that
// a terminal and YAML can take, without what may be a secret.
package migration

import (
	"fmt"
	"slices"
	"strings"
)

// A Verdict says what the import did with a line, or with a part of it. It
// depends on the consequences for users, not on how rare the line is.
type Verdict int

// The verdicts, the gravest last. The report writes Stops and Moves as "decide", too: they
// say why the operator must decide.
const (
	Took    Verdict = iota // lb.yaml says the same
	Changed                // lb.yaml reaches the same result in another way; the note says what differs
	LeftOut                // lb.yaml has nothing for it; the note says why that matters
	Unknown                // the import doesn't know the keyword; the note says where
	Decide                 // the operator must decide before the switch
	Stops                  // something stops working with lb, or isn't kept out any more
	Moves                  // users get another host than before
)

var verdicts = [...]string{"took", "changed", "left out", "unknown", "decide", "decide", "decide"}

// String returns the verdict's word in the report.
func (v Verdict) String() string { return verdicts[v] }

// ParseVerdict returns the first verdict with a word.
func ParseVerdict(text string) (v Verdict, ok bool) {
	i := slices.Index(verdicts[:], text)
	return Verdict(i), i >= 0
}

// MaxBytes bounds what an import reads; a longer file is refused.
const MaxBytes = 8 << 20

// A Note is one thing that the import did with a line.
type Note struct {
	Verdict Verdict
	Text    string
}

// A Line is one line of the file with its notes. A line without notes whose Within is 0 is
// empty or a comment.
type Line struct {
	Number int    // from 1
	Text   string // as in the file, without surrounding blanks and comments; possible secrets are masked
	Within int    // the first line of its section, whose notes are about all of it; 0 if the line has its own
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

// Add adds a note, once. Possible secrets in the text are masked as in the line.
func (l *Line) Add(v Verdict, text string) {
	if n := (Note{v, MaskInside(text)}); !slices.Contains(l.Notes, n) {
		l.Notes = append(l.Notes, n)
	}
}

// A Report says what the import did with each line, in the order of the file.
type Report struct {
	File    string
	Backend string // the name of the translated section, as in its first line
	Lines   []Line
	// Stays says that no token moves. With the note Except, tokens may move after all, and
	// Unless says when.
	Stays, Unless string
	Except        Note
}

// Count returns how many lines have a verdict with v's word. Empty lines and comments have no
// verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for i := range r.Lines {
		l := &r.Lines[i]
		if l.Within != 0 {
			l = &r.Lines[l.Within-1]
		}
		if len(l.Notes) > 0 && l.Verdict().String() == v.String() {
			n++
		}
	}
	return n
}

// String returns the report for a terminal: first what moves, what stops working and what to
// decide, then what differs from HAProxy. The second part has each line of the file once: by
// itself, or in a list of the lines that are in the first part, that lb.yaml has unchanged,
// or that are empty.
func (r *Report) String() string {
	const title = "\nWhat else is left out or changed\n"
	return r.summary() + title + r.details(Changed, LeftOut) +
		r.list("see above", r.rest(Unknown, Decide, Stops, Moves)) +
		r.list("as in lb.yaml", r.rest(Took)) +
		r.list("empty or comments", r.rest())
}

// Only returns the part of the report with the notes of one verdict. For Decide it is the
// summary.
func (r *Report) Only(v Verdict) string {
	if v >= Decide {
		return r.summary()
	}
	return r.details(v)
}

// details returns the notes with some verdicts, each below its line. Consecutive lines with
// the same notes are written together.
func (r *Report) details(of ...Verdict) string {
	var b strings.Builder
	last := "" // the notes of the line before
	for i := range r.Lines {
		l := &r.Lines[i]
		said := l.said(of)
		if said == "" {
			continue
		}
		if said != last {
			b.WriteString(last)
		}
		last = said
		fmt.Fprintf(&b, "%s:%s: %s\n", r.File, ranges(r.about(l)), l.Text)
	}
	return b.String() + last
}

// rest returns the numbers of the lines that have no note in details, and whose gravest
// verdict is one of some. Without verdicts, it returns those of the lines without notes.
func (r *Report) rest(of ...Verdict) []int {
	var numbers []int
	for i := range r.Lines {
		l := &r.Lines[i]
		if l.Within != 0 {
			l = &r.Lines[l.Within-1]
		}
		none := len(l.Notes) == 0 && len(of) == 0
		if none || l.said([]Verdict{Changed, LeftOut}) == "" && len(l.Notes) > 0 && slices.Contains(of, l.Verdict()) {
			numbers = append(numbers, r.Lines[i].Number)
		}
	}
	return numbers
}

func (r *Report) list(what string, numbers []int) string {
	if len(numbers) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %s: %s\n", r.File, what, ranges(numbers))
}

// about returns the numbers of the lines that l's notes are about.
func (r *Report) about(l *Line) []int {
	numbers := []int{l.Number}
	for _, next := range r.Lines[l.Number:] {
		switch {
		case next.Within == l.Number:
			numbers = append(numbers, next.Number)
		case next.Within != 0 || len(next.Notes) > 0: // the next section
			return numbers
		}
	}
	return numbers
}

// said returns the line's notes with some verdicts, one below the other.
func (l *Line) said(of []Verdict) string {
	text := ""
	for _, n := range l.Notes {
		if slices.Contains(of, n.Verdict) {
			text += fmt.Sprintf("    %-9s %s\n", n.Verdict, n.Text)
		}
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

// An Error is one reason why a file can't be imported.
type Error struct {
	File    string
	Line    int    // from 1; 0 when it is about the whole file
	Text    string // the line, masked
	Message string // what is wrong
	Hint    string // what to do
}

// Error returns the message with the line below it. Both are cut if they are long.
func (e Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s\n   %s", e.File, Cut(e.Message), e.Hint)
	}
	return fmt.Sprintf("%s:%d: %s\n   %d | %s\n   %s", e.File, e.Line, Cut(e.Message), e.Line, Cut(e.Text), e.Hint)
}

// Cut shortens a long text.
func Cut(text string) string {
	const most = 200
	n := 0
	for i := range text {
		if n++; n > most {
			return text[:i] + "…"
		}
	}
	return text
}

// Errors are all reasons why a file can't be imported, in the order of its lines. It is
// never empty.
type Errors []Error

// Error returns all messages, with an empty line between two.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n\n")
}
