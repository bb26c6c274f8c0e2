package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tokenring/testlog"
	"tokenring/tlsterm"
)

// A readme has the commands and files in README.md.
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

// elsewhere are the commands that can't run inside a test, because they run the tests, or
// need more than Go. .ci/run must have exactly the same commands.
var elsewhere = []string{"go test ./...", "make integration", "make bench"}

// TestReadmesCommandsWork runs the commands of README.md from top to bottom, as a
// reader would, on its own addresses.
func TestReadmesCommandsWork(t *testing.T) {
	t.Parallel()
	r := readReadme(t)
	rewrite := onAddress(ownLoopback(), "8443", "8080", "7000", "7946", "7951", "4001")
	dir := t.TempDir()
	s := &readmeShell{t: t, dir: dir, ready: rewrite("http://127.0.0.1:7000/readyz")}
	s.write("lb.yaml", rewrite(r.yaml)+"generations: {probation: 1s}\n") // the parent of the last upgrade is replaced after it
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

// A readmeShell runs commands one after the other, in one environment.
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

// mustBuild has go say what it would do for a build command of README.md. .ci/run must have
// the same command: what it compiles is of no use to tests, and takes half a minute.
func (s *readmeShell) mustBuild(command string) {
	s.t.Helper()
	s.mustBeInCI(command)
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", strings.Replace(command, "go build ", "go build -n ", 1))
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
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(s.dir, "home")) // where an agent keeps its key
	return cmd
}

// start runs a command in the background until the test ends. It waits until the command
// answers requests, and after an agent until the host serves.
func (s *readmeShell) start(command string) {
	s.t.Helper()
	cmd := s.command(context.Background(), "exec "+command)
	var out testlog.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		awaitNextProgram(out.String)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("%s, after SIGTERM: %v\n%s", command, err, out.String())
		}
	})
	agent := strings.Contains(command, "lb agent")
	for deadline := time.Now().Add(30 * time.Second); !s.answers(agent); {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s doesn't come up:\n%s", command, out.String())
		}
		<-time.After(50 * time.Millisecond) // another process: no channel leads there
	}
}

// awaitNextProgram waits until the parent runs the program of the last upgrade, if the log has
// one: a signal that comes while it executes that ends it at once.
func awaitNextProgram(log func() string) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		text := log()
		if strings.Count(text, `"upgrade":true`) <= strings.Count(text, "the parent runs another program now") {
			return
		}
	}
}

// answers reports whether what runs in the background can be used: it answers, or it also
// says that it serves.
func (s *readmeShell) answers(serves bool) bool {
	resp, err := http.Get(s.ready)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return !serves || resp.StatusCode == http.StatusOK
}
