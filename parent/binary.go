package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A binary is a program that is held open, so that it can be started again when its file
// has been replaced.
type binary struct {
	name string // the path of the file
	file *os.File
}

// openBinary opens the program at a path.
func openBinary(name string) (*binary, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("program: %w", err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		err = fmt.Errorf("program: %s isn't an executable file", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &binary{name: name, file: f}, nil
}

// path returns the path by which a process executes the file that it has open as a
// descriptor. A new process must be given the file: before it executes a program, package
// syscall may have put anything else that it starts with in the place of any descriptor
// that isn't among its files.
func path(descriptor uintptr) string { return fmt.Sprintf("/proc/self/fd/%d", descriptor) }

// close closes the file. It does nothing on nil.
func (b *binary) close() {
	if b != nil {
		b.file.Close()
	}
}

// runTimeout is how long a program may take to say its version, or to check a
// configuration.
const runTimeout = 10 * time.Second

// run runs the program with arguments, and returns what it has written to standard output.
// The error has what it has written to standard error.
func (b *binary) run(ctx context.Context, stdin string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runTimeout, fmt.Errorf("it hasn't ended within %v", runTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, path(3), arguments...)
	cmd.ExtraFiles = []*os.File{b.file} // the descriptors from 3 on
	cmd.Args[0] = "lb"
	cmd.WaitDelay = time.Second // a process of its own may hold the pipes
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err == nil {
		return strings.TrimSpace(string(out)), nil
	}
	var exit *exec.ExitError
	detail := err.Error()
	switch {
	case context.Cause(ctx) != nil:
		detail = context.Cause(ctx).Error()
	case errors.As(err, &exit) && len(exit.Stderr) > 0:
		detail = strings.TrimSpace(string(exit.Stderr))
	}
	return "", fmt.Errorf("%s %s: %s", b.name, strings.Join(arguments, " "), detail)
}
