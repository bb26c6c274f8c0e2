package config

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const maxDepth = 32 // of nested brackets and blocks; lb.yaml needs five

// A spot is a place in the file; lines and columns count from 1.
type spot struct{ line, column int }

// A document is one lb.yaml that is being read: the places of its keys and values, and the
// errors that were found.
type document struct {
	name   string
	dir    string
	lines  []string
	keys   map[string]spot // by path, such as pool.hosts[0].address; an item of a list is where it begins
	values map[string]spot
	masked map[int]int         // line → the first column that isn't shown
	failed map[string]bool     // paths that have an error already
	old    map[string]ast.Node // values under former keys, by path
	pool   string              // the pool whose sections are checked, such as pools.api; "" for all others: see path
	broken bool                // it isn't YAML: nothing more can be checked
	found  []Error
	warned []Error

	elsewhere Errors // in another file that this one names
}

func newDocument(name string, data []byte) *document {
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
	return &document{
		name: name, dir: filepath.Dir(name), lines: strings.Split(text, "\n"),
		keys: map[string]spot{}, values: map[string]spot{}, masked: map[int]int{}, failed: map[string]bool{},
		old: map[string]ast.Node{},
	}
}

// parse returns the document's root, nil if it is empty or broken.
func (d *document) parse(data []byte) (root ast.Node) {
	defer func() {
		if recover() != nil { // the YAML library panics on some input
			root = nil
			d.syntax(nil, "this can't be read as YAML", brokenHint)
		}
	}()
	if len(data) > maxBytes {
		d.syntax(nil, fmt.Sprintf("the file has %d bytes, at most %d are possible", len(data), maxBytes), "a list of hosts may be in a file of its own: pool.hosts_file")
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if tk := tooDeep(tokens); tk != nil {
		d.syntax(tk, "this is nested too deeply", "lb.yaml needs five levels; a bracket may be open")
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntaxError(err)
		return nil
	}
	return d.root(file)
}

func (d *document) root(file *ast.File) ast.Node {
	var root ast.Node
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil || doc.Body.Type() == ast.NullType {
			continue
		}
		if root != nil {
			d.broken = true
			d.report(begin(doc.Body), "", "a second document begins here; there may be only one", "remove the line --- and what follows it")
			return nil
		}
		root = doc.Body
	}
	return root
}

// tooDeep returns the token at which the nesting is too deep for the recursive parser,
// nil if there is none.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, dashes, line := 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, dashes = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			dashes++
		}
		if brackets > maxDepth || dashes > maxDepth || tk.Position.IndentNum > 8*maxDepth {
			return tk
		}
	}
	return nil
}

func (d *document) syntaxError(err error) {
	var at yaml.Error
	if errors.As(err, &at) {
		hint := brokenHint
		if strings.Contains(at.GetMessage(), "'\t'") {
			hint = "indent with spaces: YAML takes no tabs there"
		}
		d.syntax(at.GetToken(), at.GetMessage(), hint)
		return
	}
	d.syntax(nil, err.Error(), brokenHint)
}

// secretLine finds the places where a secret may begin in a file that can't be parsed.
var secretLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b[a-z_-]*(secret|password|passwd|passphrase|token|credential|seed)["']?\s*:`)
})

// brokenHint says what to look for in a file that isn't YAML.
const brokenHint = "this is no YAML: look here and in the line before for an open bracket or quote, a colon without a space, or another indentation"

// syntax reports why the file can't be read at all, and what to do.
func (d *document) syntax(tk *token.Token, message, hint string) {
	d.broken = true
	for i, line := range d.lines {
		if at := secretLine().FindStringIndex(line); at != nil {
			d.mask(spot{i + 1, len([]rune(line[:at[1]])) + 1})
		}
	}
	d.report(where(tk), "", message, hint)
}

// where returns a token's place; the start of the file if it has none.
func where(tk *token.Token) spot {
	if tk == nil || tk.Position == nil {
		return spot{1, 1}
	}
	return spot{max(1, tk.Position.Line), max(1, tk.Position.Column)}
}

// report notes an error at a place of the file.
func (d *document) report(at spot, key, message, hint string) {
	d.found = append(d.found, d.finding(at, key, message, hint))
}

func (d *document) finding(at spot, key, message, hint string) Error {
	at.line = min(at.line, len(d.lines))
	at.column = min(at.column, len([]rune(d.lines[at.line-1]))+1)
	return Error{File: d.name, Line: at.line, Column: at.column, Key: key, Message: message, Hint: hint}
}

// warn notes a warning about the value at path. If there is no value, its place is where
// the value would be.
func (d *document) warn(path, message, hint string) {
	path = d.path(path)
	d.warned = append(d.warned, d.finding(d.placeOf(path), path, message, hint))
}

// fail reports an error about the value at path. If there is no value, its place is where
// the value would be. It doesn't report an error that follows from an earlier one.
func (d *document) fail(path, message, hint string) {
	if d.silent(path) {
		return
	}
	path = d.path(path)
	d.failed[path] = true
	d.report(d.placeOf(path), path, message, hint)
}

// placeOf returns the place of the value at path. If there is none, it is the key of the
// section that would have it; if there is no such key, the start of the file.
func (d *document) placeOf(path string) spot {
	if v, ok := d.values[path]; ok && path != "" {
		return v
	}
	for p := path; p != ""; p = parent(p) {
		if k, ok := d.keys[p]; ok {
			return k
		}
	}
	return spot{1, 1}
}

// silent reports whether path, or a section that contains it, has an error already.
func (d *document) silent(path string) bool {
	for p := d.path(path); p != ""; p = parent(p) {
		if d.failed[p] {
			return true
		}
	}
	return false
}

// failedBelow reports whether a key in the section at path has an error already.
func (d *document) failedBelow(path string) bool {
	path = d.path(path) + "."
	for p := range d.failed {
		if strings.HasPrefix(p, path) {
			return true
		}
	}
	return false
}

// has reports whether the file has a value at path.
func (d *document) has(path string) bool {
	_, ok := d.values[d.path(path)]
	return ok
}

// parent returns the path of the section or list that contains path: a.b[0] → a.b → a → "".
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// under returns the path of a key in the section at path.
func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// mask hides the rest of a line from all errors, because it may be a secret.
func (d *document) mask(at spot) {
	if from, ok := d.masked[at.line]; !ok || at.column < from {
		d.masked[at.line] = at.column
	}
}

// errors returns the errors in the order of lines, without duplicates.
func (d *document) errors() Errors { return d.sorted(d.found) }

// warnings returns the warnings in the order of lines, without duplicates.
func (d *document) warnings() []Warning {
	var all []Warning
	for _, w := range d.sorted(d.warned) {
		all = append(all, Warning(w))
	}
	return all
}

func (d *document) sorted(findings []Error) []Error {
	slices.SortStableFunc(findings, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	findings = slices.Compact(findings)
	for i := range findings {
		findings[i].Excerpt = printable(d.excerpt(findings[i].Line))
	}
	return findings
}

func (d *document) excerpt(line int) string {
	text := []rune(d.lines[line-1])
	if from, ok := d.masked[line]; ok {
		return string(text[:min(from-1, len(text))]) + "…"
	}
	return string(text)
}
