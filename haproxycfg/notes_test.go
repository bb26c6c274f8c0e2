package haproxycfg_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// claimsFile has each text of a note with the name of what holds lb to it. The
// tests of those names are TestClaims of cmd/lb.
const claimsFile = "../testdata/haproxycfg/claims.txt"

// TestEveryNoteHasAClaim: a note says what lb does, or what becomes of users. One
// that nothing holds lb to doesn't get in, and no claim stays that nothing says.
func TestEveryNoteHasAClaim(t *testing.T) {
	claimed := readClaims(t)
	said := notesInSource(t)
	for _, text := range said {
		if claimed[text] == "" {
			t.Errorf("nothing holds lb to this note; add a line to %s, and a test to TestClaims of cmd/lb if none fits:\n%s", claimsFile, text)
		}
	}
	for text := range claimed {
		if !slices.Contains(said, text) {
			t.Errorf("%s has a note that the import doesn't have:\n%s", claimsFile, text)
		}
	}
}

// readClaims returns the names of claims by the texts of notes. In the file a
// name stands in brackets above its texts.
func readClaims(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(claimsFile)
	if err != nil {
		t.Fatal(err)
	}
	claimed, name := map[string]string{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			name = strings.Trim(line, "[]")
		case claimed[line] != "":
			t.Errorf("%s has this twice: %s", claimsFile, line)
		default:
			claimed[line] = name
		}
	}
	return claimed
}

// notesInSource returns the texts of all notes in the package's source. What is
// filled in when a file is imported is an ellipsis.
func notesInSource(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool { return collect(n, &texts) })
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// noNotes are the functions whose arguments go into errors, lb.yaml, the report's
// frame or regular expressions.
var noNotes = []string{"fail", "whole", "New", "Errorf", "Fprintf", "MustCompile", "line", "list"}

// frames are the functions that write lb.yaml, or the report around the notes.
var frames = []string{"writeListen", "writeHosts", "where", "String", "Error"}

// words wants of a note that it is a sentence, or a part of one.
var words = regexp.MustCompile(`\S \S+ \S`)

// collect adds the text that n is, and tells whether to look into it.
func collect(n ast.Node, texts *[]string) bool {
	switch n := n.(type) {
	case *ast.ImportSpec, *ast.Field:
		return false
	case *ast.FuncDecl:
		return !slices.Contains(frames, n.Name.Name)
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(noNotes, f.Sel.Name) {
			return false
		}
	case *ast.CompositeLit: // a reason ends with its keywords
		if of, ok := n.Type.(*ast.Ident); ok && of.Name == "Errors" {
			return false
		}
		if len(n.Elts) == 3 && isString(n.Elts[1]) && isString(n.Elts[2]) {
			ast.Inspect(n.Elts[1], func(n ast.Node) bool { return collect(n, texts) })
			return false
		}
	case *ast.BinaryExpr, *ast.BasicLit:
		text := strings.TrimSpace(template(n.(ast.Expr)))
		if words.MatchString(text) {
			*texts = append(*texts, text)
		}
		return false
	}
	return true
}

func isString(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	if _, named := e.(*ast.Ident); named {
		return true
	}
	return ok && lit.Kind == token.STRING
}

var verbs = regexp.MustCompile(`%[a-z]`)

// template returns the text that an expression makes.
func template(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); e.Kind == token.STRING && err == nil {
			return verbs.ReplaceAllString(text, "…")
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return template(e.X) + template(e.Y)
		}
		return ""
	}
	return "…"
}
