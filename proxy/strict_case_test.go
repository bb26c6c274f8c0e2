package proxy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A strictCase is one entry of the tables in testdata/http1, whose README.md
// describes their form.
type strictCase struct {
	name, why string
	request   []byte
	response  []byte // what the host answers; nil for its usual answer
	client    []wanted
	host      []wanted
	flags     map[string]bool
	echo      string // what comes back through the tunnel
}

// wanted is what a message must be and have.
type wanted struct {
	first  string   // of a request, "METHOD TARGET"; of a response, the status or "cut"
	have   []string // "Name: value", each the only field of its name
	lack   []string
	trail  []string
	body   string
	judged bool // the body matters
}

// strictFlags are the words that stand alone on a line, and what they mean.
var strictFlags = map[string]string{
	"close":       "the client's connection ends after the last answer",
	"begun":       "a request may have begun at the host, but never be complete",
	"half-close":  "the client closes its direction behind the bytes",
	"trusted":     "the client's network is a trusted one",
	"host-closes": "the host closes its connection behind its answer",
	"kept":        "the next request finds the host's connection as it was",
	"thrown":      "the next request comes on another connection to the host",
	"every-cut":   "cut short anywhere, it never looks whole",
}

// strictTables returns the cases of HTTP/1.1 by the name of their file.
func strictTables(t *testing.T) map[string][]*strictCase {
	t.Helper()
	return readTables(t, "../testdata/http1/*.txt", newStrictCase)
}

func newStrictCase(name string) *strictCase {
	return &strictCase{name: name, flags: map[string]bool{}}
}

// A tableCase is what a table's lines are read into.
type tableCase interface {
	parseLine(string) error
	check() error // refuses cases that prove nothing
}

// readTables returns the cases by the name of their file.
func readTables[C tableCase](t *testing.T, glob string, begin func(name string) C) map[string][]C {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	all := map[string][]C{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := parseTable(string(text), begin)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".txt")] = cases
	}
	return all
}

func parseTable[C tableCase](text string, begin func(name string) C) (cases []C, err error) {
	names := map[string]bool{}
	name, number := "", 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		title, begins := strings.CutPrefix(line, "== ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case begins && names[title]:
			return nil, fmt.Errorf("line %d: %q is there twice", number, title)
		case begins:
			name = title
			names[name] = true
			cases = append(cases, begin(name))
			continue
		case len(cases) == 0:
			return nil, fmt.Errorf("line %d: not in a case", number)
		case strings.TrimRight(line, " \t") != line:
			return nil, fmt.Errorf("line %d: blanks at the end, which nobody sees", number)
		}
		if err := cases[len(cases)-1].parseLine(line); err != nil {
			return nil, fmt.Errorf("line %d, in %q: %w", number, name, err)
		}
	}
	for _, c := range cases {
		if err := c.check(); err != nil {
			return nil, err
		}
	}
	return cases, nil
}

func (c *strictCase) parseLine(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	var err error
	switch {
	case word == "RFC":
		c.why = line
	case word == ">":
		if c.request == nil {
			c.request = []byte{}
		}
		c.request, err = appendEscaped(c.request, rest)
	case word == "<":
		if c.response == nil {
			c.response = []byte{} // a host may answer nothing at all
		}
		c.response, err = appendEscaped(c.response, rest)
	case word == "echo":
		c.echo = rest
	case word == "client":
		c.client = append(c.client, wanted{first: rest})
	case word == "host":
		var first []byte
		first, err = appendEscaped(nil, rest)
		c.host = append(c.host, wanted{first: string(first)})
	case word == "refuse": // an error status, nothing at the host
		c.client, c.flags["close"] = append(c.client, wanted{first: rest}), true
	case strictFlags[line] != "":
		c.flags[line] = true
	case strings.HasPrefix(line, "  "):
		err = c.parseDetail(line[2:])
	default:
		err = fmt.Errorf("no such word: %q", line)
	}
	return err
}

// parseDetail adds to the client or host line above. Of the two, the one that
// began last has no details of the other behind it.
func (c *strictCase) parseDetail(line string) error {
	var w *wanted
	switch {
	case len(c.host) > 0:
		w = &c.host[len(c.host)-1]
	case len(c.client) > 0:
		w = &c.client[len(c.client)-1]
	default:
		return fmt.Errorf("a detail of nothing")
	}
	text, err := appendEscaped(nil, strings.TrimLeft(line, "=!+ "))
	switch line[0] {
	case '=':
		w.body, w.judged = string(text), true
	case '!':
		w.lack = append(w.lack, string(text))
	case '+':
		w.trail = append(w.trail, string(text))
	default:
		w.have = append(w.have, string(text))
	}
	return err
}

func (c *strictCase) check() error {
	switch {
	case !c.reasoned():
		return fmt.Errorf("%q: no line with RFC, section and reason", c.name)
	case c.request == nil && c.response == nil:
		return fmt.Errorf("%q: no bytes", c.name)
	case len(c.client) == 0 && !c.flags["close"] && !c.flags["every-cut"]:
		return fmt.Errorf("%q: no verdict", c.name)
	case c.response != nil && !c.flags["thrown"] && !c.flags["kept"] && !c.flags["every-cut"]:
		return fmt.Errorf("%q: kept or thrown?", c.name)
	}
	if c.request == nil {
		c.request = []byte("GET /response HTTP/1.1\r\nHost: ide.example\r\n\r\n")
	}
	return nil
}

// reasoned tells whether the case says why it is as it is.
func (c *strictCase) reasoned() bool {
	return strings.HasPrefix(c.why, "RFC ") && strings.Contains(c.why, "§") && strings.Contains(c.why, ": ")
}

// appendEscaped appends text with its escapes undone.
func appendEscaped(dst []byte, text string) ([]byte, error) {
	for len(text) > 0 {
		if text[0] != '\\' {
			dst, text = append(dst, text[0]), text[1:]
			continue
		}
		piece, rest, err := unescape(text)
		if err != nil {
			return nil, err
		}
		dst, text = append(dst, piece...), rest
	}
	return dst, nil
}

// unescape undoes the escape at the start of text.
func unescape(text string) (piece []byte, rest string, err error) {
	const letters, bytesOf = `rnts0\`, "\r\n\t \x00\\"
	if len(text) < 2 {
		return nil, "", fmt.Errorf("an escape of nothing")
	}
	if i := strings.IndexByte(letters, text[1]); i >= 0 {
		return []byte{bytesOf[i]}, text[2:], nil
	}
	if text[1] == 'x' && len(text) >= 4 {
		n, err := strconv.ParseUint(text[2:4], 16, 8)
		return []byte{byte(n)}, text[4:], err
	}
	inner, rest, ok := repeated(text)
	star := strings.LastIndexByte(inner, '*')
	if !ok || star < 0 {
		return nil, "", fmt.Errorf("a bad escape: %.10q", text)
	}
	n, err := strconv.Atoi(inner[star+1:])
	if err != nil {
		return nil, "", err
	}
	piece, err = appendEscaped(nil, inner[:star])
	return bytes.Repeat(piece, n), rest, err
}

// repeated returns what stands between \( and its ), and what stands behind.
func repeated(text string) (inner, rest string, ok bool) {
	if !strings.HasPrefix(text, `\(`) {
		return "", "", false
	}
	for i, depth := 2, 1; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], `\(`):
			depth++
			i++
		case text[i] == '\\':
			i++
		case text[i] == ')' && depth == 1:
			return text[2:i], text[i+1:], true
		case text[i] == ')':
			depth--
		}
	}
	return "", "", false
}

func TestTablesAreReadAsWritten(t *testing.T) {
	got, err := appendEscaped(nil, `a\r\n\t\s\0\\\xfF\(x\(y*2)\r*3)\(*5)(b)`)
	if want := "a\r\n\t \x00\\\xffxyy\rxyy\rxyy\r(b)"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{
		"> x", "== a\nRFC 1 §1: x\nrefuse 400", "== a\n> x\nrefuse 400", "== a\nRFC 1 §1: x\n> x", "== a\nRFC 1 §1: x\n> x \nrefuse 400",
		"== a\nRFC 1 §1: x\n> \\q\nrefuse 400", "== a\nRFC 1 §1: x\n> \\(x)\nrefuse 400", "== a\nRFC 1 §1: x\n> x\nreject 400",
		"== a\nRFC 1 §1: x\n> x\nrefuse 400\n== a\n", "== a\nRFC 1 §1: x\n< x\nclient 502",
	} {
		if _, err := parseTable(bad, newStrictCase); err == nil {
			t.Errorf("%q is taken for a table", bad)
		}
	}
}
