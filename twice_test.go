package tokenring_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFailedPackagesAreTestedOnceMore runs .ci/twice with a go of its own, which fails as its
// file of answers says, one per call.
func TestFailedPackagesAreTestedOnceMore(t *testing.T) {
	const flaky = "--- FAIL: TestSlow (1.00s)\n    --- FAIL: TestSlow/a (1.00s)\nFAIL\nFAIL\ttokenring/edge\t1.000s\nok  \ttokenring/pool\t1.0s\nFAIL\n"
	for name, c := range map[string]struct {
		first, second string // what go writes; it fails if there is a FAIL in it
		calls, named  string // the arguments of all calls; what passed at the second try only
		fails         bool
	}{
		"passes":         {first: "ok  \ttokenring/edge\t1.0s\n", calls: "test -race ./edge ./pool\n"},
		"passes at last": {first: flaky, second: "ok  \ttokenring/edge\t1.0s\n", calls: "test -race ./edge ./pool\ntest -race -p 1 tokenring/edge\n", named: "TestSlow\nTestSlow/a\n"},
		"fails twice":    {first: flaky, second: flaky, calls: "test -race ./edge ./pool\ntest -race -p 1 tokenring/edge\n", fails: true},
		"a data race":    {first: "WARNING: DATA RACE\n" + flaky, calls: "test -race ./edge ./pool\n", fails: true},
		"a panic":        {first: "panic: test timed out after 10m0s\n" + flaky, calls: "test -race ./edge ./pool\n", fails: true},
		"no compilation": {first: "FAIL\ttokenring/edge [build failed]\n", calls: "test -race ./edge ./pool\n", fails: true},
		"also one":       {first: flaky + "FAIL\ttokenring/pool [setup failed]\n", calls: "test -race ./edge ./pool\n", fails: true},
		"too many":       {first: flaky + strings.Repeat("FAIL\ttokenring/a\t1.0s\n", 3), calls: "test -race ./edge ./pool\n", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "1"), c.first)
			write(t, filepath.Join(dir, "2"), c.second)
			write(t, filepath.Join(dir, "go"), `#!/bin/sh
cd "${0%/*}"
echo "$@" >>calls
n=$(wc -l <calls)
cat "$n"
! grep -q FAIL "$n"
`)
			cmd := exec.Command(".ci/twice", filepath.Join(dir, "go"), "test", "-race", "./edge", "./pool")
			cmd.Env = append(os.Environ(), "TWICE="+filepath.Join(dir, "twice"))
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.fails {
				t.Errorf("%v: %s", err, out)
			}
			if got := textOf(filepath.Join(dir, "calls")); got != c.calls {
				t.Errorf("calls %q, not %q", got, c.calls)
			}
			if got := textOf(filepath.Join(dir, "twice")); got != c.named {
				t.Errorf("named %q, not %q", got, c.named)
			}
		})
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// textOf returns the text of a file, "" if it isn't there.
func textOf(file string) string {
	text, _ := os.ReadFile(file)
	return string(text)
}
