package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryCommandHasItsPage, which names its flags, and what is in the help of each.
func TestEveryCommandHasItsPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got := runProgram(t.Context(), t, "manpages", "--date=2026-01-02", dir); got.code != exitOK {
		t.Fatalf("exits with %d: %s", got.code, got.errOut)
	}
	pages := 0
	for _, node := range visibleCommands(t) {
		name := strings.ReplaceAll(node.FullPath(), " ", "-") + ".1"
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		pages++
		plain := strings.Join(strings.Fields(strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\e`, `\`).Replace(string(page))), " ")
		for _, group := range node.AllFlags(true) {
			for _, flag := range group {
				if !strings.Contains(plain, `\fB--`+flag.Name+`\fR`) || !strings.Contains(plain, flag.Help) {
					t.Errorf("%s doesn't have --%s as --help has it", name, flag.Name)
				}
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != pages || pages < 20 {
		t.Errorf("%d files, and %d commands have a page (%v)", len(files), pages, err)
	}
}

// visibleCommands returns the program and all its commands that help shows.
func visibleCommands(t *testing.T) (all []*kong.Node) {
	t.Helper()
	parser, err := newParser(new(cli), &streams{}, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	var add func(*kong.Node)
	add = func(node *kong.Node) {
		all = append(all, node)
		for _, child := range node.Children {
			if !child.Hidden {
				add(child)
			}
		}
	}
	add(parser.Model.Node)
	return all
}

// TestShellsReadTheCompletion: that of each shell names all commands, and the shell finds
// no mistake in it.
func TestShellsReadTheCompletion(t *testing.T) {
	t.Parallel()
	for shell, check := range map[string][]string{"bash": {"-n"}, "zsh": {"-f", "-n"}, "fish": {"--no-execute"}} {
		got := runProgram(t.Context(), t, "completion", shell)
		if got.code != exitOK {
			t.Fatalf("%s: exits with %d: %s", shell, got.code, got.errOut)
		}
		for _, node := range visibleCommands(t) {
			if !strings.Contains(got.out, "'"+node.FullPath()+"'") {
				t.Errorf("%s: no %s", shell, node.FullPath())
			}
		}
		if _, err := exec.LookPath(shell); err != nil {
			continue // the package's test has all of them
		}
		file := filepath.Join(t.TempDir(), shell)
		if err := os.WriteFile(file, []byte(got.out), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(shell, append(check, file)...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
	if got := runProgram(t.Context(), t, "completion", "csh"); got.code != exitUsage {
		t.Errorf("for csh, it exits with %d", got.code)
	}
}
