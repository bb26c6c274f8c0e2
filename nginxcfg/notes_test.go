package nginxcfg_test

import (
	"slices"
	"testing"

	"tokenring/migration/claims"
)

// claimsFile has each text of a note with the name of what holds lb to it. The
// tests of those names are TestClaims of edge.
const claimsFile = "../testdata/nginxcfg/claims.txt"

// TestEveryNoteHasAClaim: a note says what lb does, or what becomes of users. One
// that nothing holds lb to doesn't get in, and no claim stays that nothing says.
func TestEveryNoteHasAClaim(t *testing.T) {
	claimed, err := claims.Read(claimsFile)
	if err != nil {
		t.Fatal(err)
	}
	said, err := claims.Source{
		Dir:     ".",
		NoNotes: []string{"Contains", "fail", "Errorf", "Fprintf", "line", "Pattern", "Sprint", "NewReplacer", "New"},
		Frames:  []string{"writeListen", "writeHosts", "writeTLS", "writeRoutes", "writePools", "yaml", "redirect", "dump", "String"},
	}.Notes()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range said {
		if claimed[text] == "" {
			t.Errorf("nothing holds lb to this note; add a line to %s, and a test to TestClaims of edge if none fits:\n%s", claimsFile, text)
		}
	}
	for text := range claimed {
		if !slices.Contains(said, text) {
			t.Errorf("%s has a note that the import doesn't have:\n%s", claimsFile, text)
		}
	}
}
