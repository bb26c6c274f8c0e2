package nginxcfg_test

import (
	"os"
	"strings"
	"testing"

	"tokenring/migration"
	"tokenring/nginxcfg"
)

// TestNginxsOwnDirectivesAreKnown: the report says what becomes of each directive that nginx has, at one
// place at least where it can be.
func TestNginxsOwnDirectivesAreKnown(t *testing.T) {
	data, err := os.ReadFile(stories + "/directives.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(data), "\n")
	const hash = "hash $arg_token consistent;"
	names := strings.Fields(list)
	if len(names) < 400 {
		t.Fatalf("there are %d directives", len(names))
	}
	for _, name := range names {
		line := name + " on;"
		known := false
		for _, text := range []string{around(line, "", hash, ""), around("", line, hash, ""), around("", "", line, ""), around("", "", hash, line)} {
			result, err := nginxcfg.Import("nginx.conf", []byte(text), nginxcfg.Options{})
			known = known || err == nil && !hasNote(result.Report, migration.Unknown, "")
		}
		if !known {
			t.Errorf("%s is unknown", name)
		}
	}
}
