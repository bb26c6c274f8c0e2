package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// profile has perf record what the visited process does, until the visit ends,
// in a file of its own in dir. Figures that are taken meanwhile are too high.
func (v *visit) profile(ctx context.Context, dir string, m measurement) error {
	name := strings.NewReplacer(" ", "-", ",", "", ".", "").Replace(m.letter + "-" + m.title)
	file := filepath.Join(dir, name+".perf")
	cmd := exec.CommandContext(ctx, "perf", "record", "-q", "-g", "-F", "499", "-o", file, "-p", strconv.Itoa(v.running.pid()))
	cmd.Stderr = os.Stderr
	gently(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	v.ends = append(v.ends, func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // perf writes its file then
		_ = cmd.Wait()                         // it ends with the signal
	})
	return nil
}
