package hostkeys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokenring/route"
)

func TestAFileOfKeysIsReadWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts.keys")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b := route.HostKey{'a'}, route.HostKey{'b'}
	write("# keys\nide-1 " + a.String() + "\n")
	if _, keys, err := Open(path); err != nil || len(keys) != 1 || keys["ide-1"] != a {
		t.Fatalf("%v, %v", keys, err)
	}
	for _, wrong := range []string{"ide-1\n", "ide-1 abc\n", "a/b/c " + a.String(), "ide-1 " + a.String() + "\nide-1 " + b.String(), strings.Repeat("#", maxFile+1)} {
		write(wrong)
		if keys, err := Read(path); err == nil || keys != nil {
			t.Errorf("%.40q is taken: %v", wrong, keys)
		}
	}
	write("ide-1 " + b.String() + "= # new\n\nide-2 " + a.String())
	if keys, err := Read(path); err != nil || len(keys) != 2 || keys["ide-1"] != b {
		t.Errorf("another file: %v, %v", keys, err)
	}
	if w, keys, err := Open(""); err != nil || keys != nil || w.Watches() {
		t.Errorf("no file: %v, %v", keys, err)
	}
}
