package nginxcfg

import (
	"errors"
	"strings"
)

// A token is a word of an nginx.conf, or one of ; { and }.
type token struct {
	text string // of a word, its quotes and escapes resolved
	raw  string // as it is written
	line int
	mark byte // ';', '{' or '}'; 0 for a word
	by   *directive
}

var (
	errQuote = errors.New("a quote is opened and not closed")
	errAfter = errors.New("a quoted word is followed by something other than a blank, ; or {")
)

// split cuts a text whose first line has the number first into tokens, by the rules of nginx's
// ngx_conf_read_token: a word ends at a blank, at ; and at { unless $ is before it; a quote at the
// beginning of a word keeps blanks together; # at the beginning of a word begins a comment. With
// an error it returns the line of it.
func split(text string, first int) (all []token, line int, err error) {
	s := splitter{rest: text, line: first}
	for s.blank(); s.rest != ""; s.blank() {
		at := s.line
		switch c := s.rest[0]; c {
		case ';', '{', '}':
			all = append(all, token{raw: string(c), line: at, mark: c})
			s.rest = s.rest[1:]
			continue
		case '"', '\'':
			err = s.quoted(c)
		default:
			s.word()
		}
		if err != nil {
			return all, at, err
		}
		all = append(all, token{text: s.text.String(), raw: s.raw.String(), line: at})
	}
	return all, 0, nil
}

// A splitter is the state between two tokens.
type splitter struct {
	rest      string
	line      int
	text, raw strings.Builder
}

const blanks = " \t\r\n"

// blank skips blanks and comments.
func (s *splitter) blank() {
	for s.rest != "" {
		switch c := s.rest[0]; {
		case c == '\n':
			s.line++
		case strings.IndexByte(blanks, c) >= 0:
		case c == '#':
			end := strings.IndexByte(s.rest, '\n')
			if end < 0 {
				end = len(s.rest)
			}
			s.rest = s.rest[end:]
			continue
		default:
			return
		}
		s.rest = s.rest[1:]
	}
}

// take moves a character of the word, or an escape, from rest to the token. Of the escapes,
// nginx resolves those of quotes, backslashes, tabs and line ends.
func (s *splitter) take() {
	if s.rest[0] != '\\' || len(s.rest) == 1 {
		s.put(s.rest[:1], s.rest[:1])
		return
	}
	escape := s.rest[:2]
	if at := strings.IndexByte(`"'\trn`, escape[1]); at >= 0 {
		s.put("\"'\\\t\r\n"[at:at+1], escape)
		return
	}
	s.put(escape, escape)
}

func (s *splitter) put(text, raw string) {
	s.text.WriteString(text)
	s.raw.WriteString(raw)
	s.line += strings.Count(raw, "\n")
	s.rest = s.rest[len(raw):]
}

func (s *splitter) quoted(quote byte) error {
	s.text.Reset()
	s.raw.Reset()
	s.put("", s.rest[:1])
	for s.rest != "" && s.rest[0] != quote {
		s.take()
	}
	if s.rest == "" {
		return errQuote
	}
	s.put("", s.rest[:1])
	if s.rest != "" && strings.IndexByte(blanks+";{)", s.rest[0]) < 0 {
		return errAfter
	}
	return nil
}

func (s *splitter) word() {
	s.text.Reset()
	s.raw.Reset()
	for variable := false; s.rest != "" && strings.IndexByte(blanks+";", s.rest[0]) < 0; {
		c := s.rest[0]
		if c == '{' && !variable {
			return
		}
		variable = c == '$'
		s.take()
	}
}
