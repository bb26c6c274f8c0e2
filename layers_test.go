// Package tokenring_test holds what is true of the repository as a whole.
package tokenring_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "tokenring"

// layers are the packages by layer, the lowest first. A package imports only
// packages of lower layers. What isn't here but below outside stands above them
// all, and nobody imports it.
var layers = [][]string{
	{"http1", "http2", "balancer"},        // arithmetic
	{"statefile"},                         // files that survive a crash
	{"pool", "health", "tlsterm", "park"}, // each owns one resource
	{"proxy", "admin", "demo"},            // each serves one kind of visitor
	{"config", "haproxycfg"},              // composes the parts' own configuration; reads HAProxy's
	{"cmd/lb"},                            // wiring
}

// outside are the directories of test and benchmark programs.
var outside = []string{"integration", "bench"}

// impure is what arithmetic has no use for.
var impure = []string{"context", "net", "net/http", "os", "time"}

// A source is what one Go file imports and does.
type source struct {
	file, pkg string
	imports   []string
	goes      bool // it starts a goroutine
}

func TestImportsOnlyGoDown(t *testing.T) {
	for _, s := range sources(t) {
		from := layer(s.pkg)
		if from < 0 {
			t.Errorf("%s: the package %s is in no layer", s.file, s.pkg)
			continue
		}
		for _, imported := range s.imports {
			pkg, ours := strings.CutPrefix(imported, module+"/")
			if to := layer(pkg); ours && to >= from {
				t.Errorf("%s: %s (layer %d) imports %s (layer %d)", s.file, s.pkg, from+1, pkg, to+1)
			}
		}
	}
}

func TestEveryPackageOfALayerExists(t *testing.T) {
	found := map[string]bool{}
	for _, s := range sources(t) {
		found[s.pkg] = true
	}
	for _, pkg := range slices.Concat(layers...) {
		if !found[pkg] {
			t.Errorf("there is no package %s; there are %v", pkg, slices.Sorted(maps.Keys(found)))
		}
	}
}

func TestArithmeticHasNoSocketGoroutineOrClock(t *testing.T) {
	for _, s := range sources(t) {
		if layer(s.pkg) != 0 {
			continue
		}
		for _, imported := range s.imports {
			if slices.Contains(impure, imported) {
				t.Errorf("%s imports %s", s.file, imported)
			}
		}
		if s.goes {
			t.Errorf("%s starts a goroutine", s.file)
		}
	}
}

// layer returns the index of pkg's layer: one above all for what is outside, -1
// if it is nowhere.
func layer(pkg string) int {
	for i, packages := range layers {
		if slices.Contains(packages, pkg) {
			return i
		}
	}
	for _, dir := range outside {
		if pkg == dir || strings.HasPrefix(pkg, dir+"/") {
			return len(layers)
		}
	}
	return -1
}

// sources reads the module's Go files, whatever their build tags, except for
// tests: those may use what they like.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && foreign(file):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		s, err := read(file)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// foreign reports whether a directory is none of the module's: the go command
// wouldn't look into it, or it is a module of its own.
func foreign(dir string) bool {
	name := filepath.Base(dir)
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func read(file string) (source, error) {
	slashed := filepath.ToSlash(file)
	s := source{file: slashed, pkg: path.Dir(slashed)}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return s, err
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return s, err
		}
		s.imports = append(s.imports, imported)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		_, is := n.(*ast.GoStmt)
		s.goes = s.goes || is
		return true
	})
	return s, nil
}
