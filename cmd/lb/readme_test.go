package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tokenring/tlsterm"
)

// A readme is what README.md promises to work.
type readme struct {
	commands []string // in order
	yaml     string
}

var fence = regexp.MustCompile("(?ms)^```(sh|yaml)\n(.*?)^```$")

func readReadme(t *testing.T) readme {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var r readme
	for _, m := range fence.FindAllStringSubmatch(string(b), -1) {
		if m[1] == "yaml" {
			r.yaml = m[2]
			continue
		}
		r.commands = append(r.commands, strings.Split(strings.TrimSpace(m[2]), "\n")...)
	}
	return r
}

// elsewhere are the commands that can't run inside a test, because they run
// it, or need more than Go. They must stand in .ci/run, letter for letter.
var elsewhere = []string{"go test ./...", "make integration", "make bench"}

// TestReadmesCommandsWork runs README.md from top to bottom, as a reader would,
// on other ports.
func TestReadmesCommandsWork(t *testing.T) {
	t.Parallel()
	r, ports := readReadme(t), map[string]string{}
	for _, port := range []string{"8443", "8080", "7000", "7946", "7951", "4001"} {
		ports[port] = strconv.Itoa(testPort())
	}
	rewrite := func(s string) string {
		for from, to := range ports {
			s = strings.ReplaceAll(s, ":"+from, ":"+to)
		}
		return s
	}
	dir := t.TempDir()
	s := &readmeShell{t: t, dir: dir, ready: "http://127.0.0.1:" + ports["7000"] + "/readyz"}
	s.write("lb.yaml", rewrite(r.yaml))
	cert, key, err := tlsterm.SelfSigned("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s.write("ide.crt", string(cert))
	s.write("ide.key", string(key))
	if err := os.Symlink(s.lookPath("lb"), filepath.Join(dir, "lb")); err != nil {
		t.Fatal(err)
	}
	for _, command := range r.commands {
		switch {
		case slices.Contains(elsewhere, command):
			s.mustBeInCI(command)
		case command == "go run ./cmd/lb demo":
			startDemo(t) // on free ports; everything else is as typed
		case strings.Contains(command, "go build"): // the test binary stands for what it builds
			s.mustBuild(command)
		default:
			s.run(rewrite(command))
		}
	}
	if len(r.commands) < 15 {
		t.Errorf("found only %d commands in README.md", len(r.commands))
	}
}

// A readmeShell runs commands one after the other, with their environment kept.
type readmeShell struct {
	t       *testing.T
	dir     string
	ready   string // the URL that tells when what runs in the background can be used
	exports []string
}

func (s *readmeShell) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *readmeShell) lookPath(name string) string {
	s.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *readmeShell) mustBeInCI(command string) {
	s.t.Helper()
	b, err := os.ReadFile("../../.ci/run")
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(b), command) {
		s.t.Errorf("README.md has %q, which neither this test nor .ci/run runs", command)
	}
}

// mustBuild runs a build command of README.md where it belongs, in the
// repository, with its output thrown away.
func (s *readmeShell) mustBuild(command string) {
	s.t.Helper()
	command = strings.Replace(command, "-o lb ", "-o "+filepath.Join(s.t.TempDir(), "lb")+" ", 1)
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", command)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Errorf("%s: %v\n%s", command, err, out)
	}
}

func (s *readmeShell) run(command string) {
	s.t.Helper()
	if strings.HasPrefix(command, "export ") {
		s.exports = append(s.exports, command)
		return
	}
	if background, ok := strings.CutSuffix(command, " &"); ok {
		s.start(background)
		return
	}
	out, err := s.command(s.t.Context(), command).CombinedOutput()
	if err != nil {
		s.t.Errorf("%s: %v\n%s", command, err, out)
	}
	for _, wrong := range []string{`"status":4`, `"status":5`, "not ready"} {
		if strings.Contains(string(out), wrong) {
			s.t.Errorf("%s answers: %s", command, out)
		}
	}
}

func (s *readmeShell) command(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", strings.Join(append(s.exports, command), "\n"))
	cmd.Dir = s.dir
	return cmd
}

// start runs a command in the background until the test ends, and waits until
// there is something to ask, after an agent even a host that serves.
func (s *readmeShell) start(command string) {
	s.t.Helper()
	cmd := s.command(context.Background(), "exec "+command)
	var out syncBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("%s, after SIGTERM: %v\n%s", command, err, out.String())
		}
	})
	want := "[ -n \"$(curl -s %s)\" ]"
	if strings.Contains(command, "lb agent") {
		want = "curl -sf %s"
	}
	for deadline := time.Now().Add(30 * time.Second); s.command(s.t.Context(), fmt.Sprintf(want, s.ready)).Run() != nil; {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s doesn't come up:\n%s", command, out.String())
		}
		<-time.After(50 * time.Millisecond) // another process: no channel leads there
	}
}
