package demo

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// A Dir is the temporary directory of a demo, with keys in it. Remove removes it. If the
// process dies before that (a panic, SIGKILL), a small shell removes it, which waits for
// the end of the process.
type Dir struct {
	Path  string
	after *exec.Cmd // the shell; nil if this system has none
	alive io.Closer // ends the shell's wait; the kernel closes it when the process ends
}

// removeAfter waits until its input is closed. It ignores the signals that the terminal
// sends to the demo.
const removeAfter = `trap '' HUP INT QUIT TERM; cat >/dev/null; exec rm -rf -- "$1"`

// NewDir makes the directory. The caller removes it with Remove.
func NewDir() (*Dir, error) {
	path, err := os.MkdirTemp("", "lb-demo-")
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil { // TMPDIR may be relative, and the shell runs in another directory
		return nil, err
	}
	d := &Dir{Path: path}
	after := exec.Command("sh", "-c", removeAfter, "sh", path)
	after.Dir = "/"
	after.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if d.alive, err = after.StdinPipe(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	switch err := after.Start(); {
	case errors.Is(err, exec.ErrNotFound): // only Remove removes it then
	case err != nil:
		return nil, errors.Join(err, d.Remove())
	default:
		d.after = after
	}
	return d, nil
}

// Remove removes the directory, and waits for the shell.
func (d *Dir) Remove() error {
	err := os.RemoveAll(d.Path)
	d.alive.Close()
	if d.after == nil {
		return err
	}
	return errors.Join(err, d.after.Wait())
}
