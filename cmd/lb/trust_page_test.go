package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var namedTest = regexp.MustCompile("`(Test[A-Za-z0-9]+)`")

// TestTheTestsThatDocsTrustNamesExist: else it promises what nothing holds true.
func TestTheTestsThatDocsTrustNamesExist(t *testing.T) {
	files, err := filepath.Glob("../../integration/hostile/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, file := range files {
		sources.WriteString(readFile(t, file))
	}
	named := namedTest.FindAllStringSubmatch(readFile(t, "../../docs/trust.md"), -1)
	for _, name := range named {
		if !strings.Contains(sources.String(), "func "+name[1]+"(t *testing.T)") {
			t.Errorf("docs/trust.md names %s, which doesn't exist", name[1])
		}
	}
	if len(named) < 10 {
		t.Errorf("docs/trust.md names %d tests, want at least 10", len(named))
	}
}
