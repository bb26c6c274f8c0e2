package haproxycfg

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Verdict is what became of a line of haproxy.cfg, or of a part of one. It
// follows from the consequences for users, not from how rare the line is.
type Verdict int

// The verdicts, the gravest last. Stops and Moves are read as Decide, too: they
// say why somebody has to.
const (
	Took    Verdict = iota // lb.yaml says the same
	Changed                // lb.yaml serves the same end in another way; the note says what differs
	LeftOut                // lb.yaml has nothing for it; the note says why that matters
	Unknown                // no keyword that is known here; the note says where
	Decide                 // somebody has to decide before lb.yaml can take over
	Stops                  // something that works through HAProxy, or is kept out by it, isn't with lb
	Moves                  // users get another host than HAProxy gives them
)

var verdicts = [...]string{"took", "changed", "left out", "unknown", "decide", "decide", "decide"}

// String returns the verdict as the report has it.
func (v Verdict) String() string { return verdicts[v] }

// ParseVerdict returns the first verdict that String writes so.
func ParseVerdict(text string) (v Verdict, ok bool) {
	i := slices.Index(verdicts[:], text)
	return Verdict(i), i >= 0
}

// A Note is one thing that became of a line.
type Note struct {
	Verdict Verdict
	Text    string
}

// A Line is one line of haproxy.cfg and what became of it. A line without notes
// that is within nothing is empty or a comment.
type Line struct {
	Number int    // from 1
	Text   string // as in the file, without surrounding blanks and a comment; what may be secret is masked
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

// note adds a note, once. What it repeats of the line is masked as the line is.
func (l *Line) note(v Verdict, text string) {
	if n := (Note{v, maskInside(text)}); !slices.Contains(l.Notes, n) {
		l.Notes = append(l.Notes, n)
	}
}

// A Report says what became of each line, in the order of the file.
type Report struct {
	File    string
	Backend string // the section that is taken over, as its first line names it
	Lines   []Line
}

// Count returns how many lines have the verdict, by the word for it; those that
// are empty or comments have none.
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

// String returns the report for a terminal: first what moves, what stops working
// and what to decide, then what is otherwise than in HAProxy. Each line of the
// file is in the second part once: by itself, or in a list of those that the
// first part has, that lb.yaml has as they are, or that are empty.
func (r *Report) String() string {
	const title = "\nWhat else is left out or changed\n"
	return r.summary() + title + r.details(Changed, LeftOut) +
		r.list("see above", r.rest(Unknown, Decide, Stops, Moves)) +
		r.list("as in lb.yaml", r.rest(Took)) +
		r.list("empty or comments", r.rest())
}

// Only returns the part of the report with the notes of one verdict: the summary
// for Decide.
func (r *Report) Only(v Verdict) string {
	if v >= Decide {
		return r.summary()
	}
	return r.details(v)
}

// details returns the notes of some verdicts, below their lines. Lines of which
// the same is to be said stand together if they follow one another.
func (r *Report) details(of ...Verdict) string {
	var b strings.Builder
	last := "" // what is said of the line before
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

// rest returns the numbers of the lines without a note that details has by
// default whose gravest is one of some verdicts; of those without any, for none.
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

// said returns the line's notes of some verdicts, one below the other.
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
