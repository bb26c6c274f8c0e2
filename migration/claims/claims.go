// Package claims holds the notes of an import against what is tested: a note says what lb does, or
// what becomes of users, and a file names the test that holds lb to each of them. It is for tests.
package claims

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Read returns the names of claims by the texts of notes. In the file a name stands in brackets
// above its texts.
func Read(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	claimed, name := map[string]string{}, ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			name = strings.Trim(line, "[]")
		case claimed[line] != "":
			return nil, fmt.Errorf("%s has this twice: %s", file, line)
		default:
			claimed[line] = name
		}
	}
	return claimed, nil
}

// A Source is the source of an import's package.
type Source struct {
	Dir     string
	NoNotes []string // functions whose arguments go into errors, lb.yaml, the report's frame or regular expressions
	Frames  []string // functions that write lb.yaml, or the report around the notes
}

// Notes returns the texts of all notes in the source. What is filled in when a file is imported is
// an ellipsis.
func (s Source) Notes() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.Dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("%s has no source", s.Dir))
	}
	var texts []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool { return s.collect(n, &texts) })
	}
	slices.Sort(texts)
	return slices.Compact(texts), nil
}

// words wants of a note that it is a sentence, or a part of one.
var words = regexp.MustCompile(`\S \S+ \S`)

// collect adds the text that n is, and tells whether to look into it.
func (s Source) collect(n ast.Node, texts *[]string) bool {
	switch n := n.(type) {
	case *ast.ImportSpec, *ast.Field:
		return false
	case *ast.FuncDecl:
		return !slices.Contains(s.Frames, n.Name.Name)
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains(s.NoNotes, f.Sel.Name) {
			return false
		}
	case *ast.CompositeLit: // a reason ends with its keywords
		if of, ok := n.Type.(*ast.Ident); ok && of.Name == "Errors" {
			return false
		}
		if len(n.Elts) == 3 && isString(n.Elts[1]) && isString(n.Elts[2]) {
			ast.Inspect(n.Elts[1], func(n ast.Node) bool { return s.collect(n, texts) })
			return false
		}
	case *ast.BinaryExpr, *ast.BasicLit:
		text := strings.TrimSpace(template(n.(ast.Expr)))
		if words.MatchString(text) && !strings.HasPrefix(text, "#") { // a comment is none
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
