package haproxycfg

import (
	"cmp"
	"errors"
	"strings"
)

// A word is one word of a line, its quotes and escapes resolved.
type word struct {
	text     string
	raw      string // text with all variables as they are written
	variable string // the first environment variable without a known value, as written; "" if there is none
	borrowed string // the first variable whose value may differ in HAProxy, as written; "" if there is none
}

// split cuts a line into words by HAProxy's rules (configuration manual, §2.2):
// a backslash escapes, "…" keeps blanks together and expands variables, '…'
// keeps everything as it is, and an unquoted # begins a comment. Variables that
// env doesn't know aren't expanded, because only HAProxy's process has their values.
func split(line string, env *environment) ([]word, error) {
	s := splitter{rest: line, env: env}
	for s.rest != "" && !s.comment {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	if s.quote != 0 {
		return nil, errors.New("a quote is opened and not closed")
	}
	s.end()
	return s.words, nil
}

// code returns a line without the comment at its end, if it can be cut into words.
func code(line string) string {
	s := splitter{rest: line}
	for s.rest != "" {
		before := len(s.rest)
		if s.step() != nil {
			return line
		}
		if s.comment {
			return line[:len(line)-before]
		}
	}
	return line
}

// A splitter is the state between two bytes of a line.
type splitter struct {
	rest     string
	env      *environment
	words    []word
	text     strings.Builder
	raw      strings.Builder
	variable string
	borrowed string
	began    bool // a word has begun, even if it is empty
	quote    byte // the open one; 0 if there is none
	comment  bool // the rest of the line is a comment
}

func (s *splitter) step() error {
	c := s.rest[0]
	switch {
	case c == '\'' && s.quote != '"', c == '"' && s.quote != '\'':
		s.quote ^= c
		s.began = true
	case c == '\\' && s.quote != '\'':
		return s.escape()
	case s.quote != 0 && (c != '$' || s.quote == '\''):
		s.put(c)
	case s.quote == '"':
		s.expand()
		return nil
	case c == ' ' || c == '\t':
		s.end()
	case c == '#', c == '\r': // HAProxy ends a line at either
		s.comment = true
	default:
		s.put(c)
	}
	s.rest = s.rest[1:]
	return nil
}

// escape reads a backslash and what it escapes. Before a byte that it doesn't escape, the
// backslash is an ordinary character.
func (s *splitter) escape() error {
	next := byte(0)
	if len(s.rest) > 1 {
		next = s.rest[1]
	}
	switch at := strings.IndexByte(" \\#'\"rnt", next); {
	case next == 'x':
		return s.hex()
	case next == '$' && s.quote == '"':
		s.put('$')
	case next == 0 || at < 0:
		s.put('\\')
		s.rest = s.rest[1:]
		return nil
	default:
		s.put(" \\#'\"\r\n\t"[at])
	}
	s.rest = s.rest[2:]
	return nil
}

func (s *splitter) hex() error {
	if len(s.rest) < 4 {
		return errors.New(`\x needs two hexadecimal digits`)
	}
	high, low := strings.IndexByte(digits, lower(s.rest[2])), strings.IndexByte(digits, lower(s.rest[3]))
	if high < 0 || low < 0 {
		return errors.New(`\x needs two hexadecimal digits`)
	}
	s.put(byte(high<<4 | low))
	s.rest = s.rest[4:]
	return nil
}

const digits = "0123456789abcdef"

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// expand reads a variable, $NAME or ${NAME}. It keeps the variable as it is written if its
// value isn't known.
func (s *splitter) expand() {
	n := 1
	if strings.HasPrefix(s.rest, "${") {
		if n = strings.IndexByte(s.rest, '}') + 1; n == 0 {
			n = len(s.rest)
		}
	} else {
		for n < len(s.rest) && nameByte(s.rest[n]) {
			n++
		}
	}
	written := s.rest[:n]
	name, _, _ := strings.Cut(strings.Trim(written, "${}"), "-") // ${NAME-what else}
	value, origin := s.env.value(name, s.keyword())
	switch {
	case origin != unknown:
		s.text.WriteString(value)
		if origin == borrowed && s.borrowed == "" {
			s.borrowed = written
		}
	case n > 1:
		s.variable = cmp.Or(s.variable, written)
		s.text.WriteString("${" + strings.Trim(written, "${}") + "}") // lb check knows variables in this form
	default:
		s.text.WriteString(written)
	}
	s.raw.WriteString(written)
	s.began = true
	s.rest = s.rest[n:]
}

// keyword returns the first word of the line, "" if it isn't complete yet.
func (s *splitter) keyword() string {
	for _, w := range s.words {
		if w.text != "no" && w.text != "default" {
			return w.text
		}
	}
	return ""
}

func nameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'z'
}

func (s *splitter) put(c byte) {
	s.text.WriteByte(c)
	s.raw.WriteByte(c)
	s.began = true
}

func (s *splitter) end() {
	if s.began {
		s.words = append(s.words, word{text: s.text.String(), raw: s.raw.String(), variable: s.variable, borrowed: s.borrowed})
	}
	s.text.Reset()
	s.raw.Reset()
	s.variable, s.borrowed, s.began = "", "", false
}
