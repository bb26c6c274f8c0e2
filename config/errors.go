package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An Error is one mistake in a configuration.
type Error struct {
	File         string
	Line, Column int    // from 1; columns count characters
	Excerpt      string // the line itself, without anything that could be a secret
	Key          string // such as pool.hosts[1].weight; "" for the whole file
	Message      string // what is wrong
	Hint         string // what to write instead; may be empty
}

// Error returns the message in several lines:
//
//	lb.yaml:12:11: hash.policy: there is no policy "ringo"
//	   12 |   policy: ringo
//	      |           ^
//	   known: consistent
func (e Error) Error() string { return e.text("") }

// A Warning is about a setting that works and may cause trouble.
type Warning Error

// String returns the message in several lines, like that of an Error, with "warning:"
// after the place.
func (w Warning) String() string { return Error(w).text("warning: ") }

func (e Error) text(kind string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, e.Line, e.Column, kind)
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Message)
	number := strconv.Itoa(e.Line)
	margin := strings.Repeat(" ", len(number))
	b.WriteString(strings.TrimRight(fmt.Sprintf("\n   %s | %s", number, e.Excerpt), " \t"))
	fmt.Fprintf(&b, "\n   %s | %s^", margin, indent(e.Excerpt, e.Column))
	if e.Hint != "" {
		b.WriteString("\n   " + e.Hint)
	}
	return b.String()
}

// indent returns white space as wide as the line up to a column. Tabs stay tabs, so that
// the caret is at the right place whatever their width.
func indent(line string, column int) string {
	var b strings.Builder
	for _, r := range line {
		if column--; column <= 0 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Errors are all mistakes in a configuration, in the order of its lines. It is never
// empty.
type Errors []Error

// Error returns all messages, with an empty line between two.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n\n")
}

// brief returns the first mistake in one line, and how many more there are.
func (e Errors) brief() error {
	first := e[0]
	place := fmt.Sprintf("%s:%d:%d: ", first.File, first.Line, first.Column)
	if first.Key != "" {
		place += first.Key + ": "
	}
	text := place + first.Message
	if first.Hint != "" {
		text += "; " + first.Hint
	}
	if more := len(e) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more: lb check shows all)", more)
	}
	return errors.New(text)
}

// printable returns a line of the file with control characters replaced.
func printable(line string) string {
	clean := func(r rune) rune {
		if r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r >= 0xa0) && r != utf8.RuneError {
			return r
		}
		return '·'
	}
	return strings.Map(clean, line)
}
