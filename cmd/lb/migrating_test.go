package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheRunbookCanBeFollowed runs the commands of docs/migrating.md that need no
// HAProxy, from top to bottom, with the example of the page, on its own addresses.
func TestTheRunbookCanBeFollowed(t *testing.T) {
	t.Parallel()
	text := readFile(t, "../../docs/migrating.md")
	rewrite := onAddress(ownLoopback(), "8080", "8099", "7000", "7951", "7952", "7953", "4001", "4002", "4003")
	dir := t.TempDir()
	s := &readmeShell{t: t, dir: dir, ready: rewrite("http://127.0.0.1:7000/readyz")}
	if err := os.Symlink(s.lookPath("lb"), filepath.Join(dir, "lb")); err != nil {
		t.Fatal(err)
	}
	s.write("haproxy.cfg", rewrite(readFile(t, "../../testdata/haproxycfg/example/haproxy.cfg")))
	count := 0
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		for command := range strings.Lines(block[2]) {
			command = strings.TrimSpace(command)
			if strings.Contains(command, "lb run") { // 7000 is in what import writes, not in the file
				s.write("lb.yaml", rewrite(readFile(t, filepath.Join(dir, "lb.yaml"))))
			}
			s.run(rewrite(command))
			count++
		}
	}
	if count < 10 {
		t.Errorf("found only %d commands in docs/migrating.md", count)
	}
	if report := readFile(t, filepath.Join(dir, "report.txt")); !strings.Contains(report, "0 unknown, 0 decide") {
		t.Errorf("the example leaves something to decide:\n%s", report)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
