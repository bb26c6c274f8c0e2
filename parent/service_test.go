package parent

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tokenring/handover"
	"tokenring/testlog"
)

// A service is a parent process with its generations.
type service struct {
	t       *testing.T
	cmd     *exec.Cmd
	file    string // how generations behave
	address string
	http    *http.Client
	log     *testlog.Buffer
	ended   chan struct{}
}

// program returns a copy of this test's program, which an upgrade may replace.
func program(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "lb")
	if err := os.Link(self, path); err != nil {
		text, readErr := os.ReadFile(self)
		if readErr != nil {
			t.Fatal(err, readErr)
		}
		if err := os.WriteFile(path, text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// start runs a service until the test ends.
func start(t *testing.T, does behaviour) *service {
	t.Helper()
	s := prepare(t, does)
	s.run()
	s.eventually("it serves", func() bool { return s.generations() != nil && s.serving() != 0 })
	return s
}

func prepare(t *testing.T, does behaviour) *service {
	t.Helper()
	dir := t.TempDir()
	ln, err := net.Listen("tcp", "127.0.0.2:0") // a port that is free, and that no other test is given
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	s := &service{t: t, file: filepath.Join(dir, "behaviour"), address: ln.Addr().String(), log: new(testlog.Buffer), ended: make(chan struct{})}
	s.behave(does)
	socket := filepath.Join(dir, "control.sock")
	s.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	s.cmd = exec.Command(program(t, dir), "parent", s.file, socket)
	s.cmd.Stderr = s.log
	return s
}

// run starts the parent.
func (s *service) run() {
	s.t.Helper()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	s.t.Cleanup(func() {
		s.http.CloseIdleConnections()
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(5 * time.Second):
			_ = s.cmd.Process.Signal(syscall.SIGTERM) // a second one kills
			<-s.ended
		}
		if s.t.Failed() {
			s.t.Log(s.log.String())
		}
	})
}

// behave says how later generations behave.
func (s *service) behave(does behaviour) {
	s.t.Helper()
	does.Listen = s.address
	text, err := json.Marshal(does)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) eventually(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("it never came true: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// logs waits until the parent or a generation has written a text.
func (s *service) logs(text string) {
	s.t.Helper()
	s.eventually("the log has "+text, func() bool { return strings.Contains(s.log.String(), text) })
}

// change makes a change and returns the status and the text of the answer.
func (s *service) change(path, body string) (int, string) {
	s.t.Helper()
	r, err := s.http.Post("http://parent"+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// reload has a new generation serve.
func (s *service) reload() {
	s.t.Helper()
	if status, text := s.change("/v1/reload", "{}"); status != 200 {
		s.t.Fatalf("%d %s", status, text)
	}
}

func (s *service) generations() []handover.Generation {
	r, err := s.http.Get("http://parent/v1/generations")
	if err != nil {
		return nil
	}
	defer r.Body.Close()
	var answer struct {
		Generations []handover.Generation `json:"generations"`
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return nil
	}
	return answer.Generations
}

// serving returns the number of the generation that serves; 0 if none does.
func (s *service) serving() int {
	for _, g := range s.generations() {
		if g.State == handover.StateServing {
			return g.ID
		}
	}
	return 0
}
