package browser

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lbBinary is built once for all tests.
var lbBinary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lb-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	lbBinary = filepath.Join(dir, "lb")
	build := exec.Command("go", "build", "-o", lbBinary, "./cmd/lb")
	build.Dir = ".." // the module that is tested
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build lb: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A demo is a running `lb demo`, known by what it tells its user.
type demo struct {
	site      string // https://localhost:…, without a path
	dashboard string // the link that signs in
}

var welcome = regexp.MustCompile(`(?s)(https://localhost:\d+)/.*(http://127\.0\.0\.1:\d+/#token=\S+).*Users without a terminal yet`)

// startDemo runs the demo, with real shells that know no user's settings, until
// the test ends, and waits for its welcome and for its end.
func startDemo(t *testing.T) *demo {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, lbBinary, "demo", "--port=0", "--admin-port=0", "-v")
	cmd.Env = append(os.Environ(), "SHELL=/bin/sh", "ENV=", "PS1=$ ", "NO_COLOR=1", "HOME="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	var out, log syncBuffer
	cmd.Stdout, cmd.Stderr = &out, &log
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Errorf("lb demo: %v", err)
		}
		keys.Close()
		if t.Failed() {
			t.Logf("lb demo's log, without its welcome, which has the admin token:\n%s", log.String())
		}
	})
	return awaitWelcome(t, &out, ended)
}

func awaitWelcome(t *testing.T, out *syncBuffer, ended chan error) *demo {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("lb demo has ended: %v", err)
		case <-deadline:
			t.Fatal("lb demo doesn't welcome its user")
		case <-tick.C:
		}
		if m := welcome.FindStringSubmatch(out.String()); m != nil {
			return &demo{site: m[1], dashboard: m[2]}
		}
	}
}

// A syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

var _ io.Writer = (*syncBuffer)(nil)

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
