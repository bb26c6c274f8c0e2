package storytest

import (
	"slices"
	"testing"

	"tokenring/migration/claims"
)

// Claims wants a claim in a file for every note in the source of an import: a note says what lb does,
// or what becomes of users. One that nothing holds lb to doesn't get in, and no claim stays that
// nothing says. The file has each text of a note with the name of what holds lb to it, which is a test
// in TestClaims of edge.
func Claims(t *testing.T, file string, source claims.Source) {
	t.Helper()
	claimed, err := claims.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	said, err := source.Notes()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range said {
		if claimed[text] == "" {
			t.Errorf("nothing holds lb to this note; add a line to %s, and a test to TestClaims of edge if none fits:\n%s", file, text)
		}
	}
	for text := range claimed {
		if !slices.Contains(said, text) {
			t.Errorf("%s has a note that the import doesn't have:\n%s", file, text)
		}
	}
}
