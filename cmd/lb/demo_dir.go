package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// A demoDir is the folder of a demo, with keys in it. It is gone once the demo has
// ended: remove removes it, and if the process dies before that (a panic, SIGKILL),
// a small shell that waits for its end.
type demoDir struct {
	path  string
	after *exec.Cmd // nil: this system has no shell
	alive io.Closer // ends the wait of after; the kernel closes it with the process
}

// removeAfter waits until its input is closed. The signals of a terminal that closes
// are for the demo.
const removeAfter = `trap '' HUP INT QUIT TERM; cat >/dev/null; exec rm -rf -- "$1"`

// newDemoDir makes the folder. The caller removes it.
func newDemoDir() (*demoDir, error) {
	path, err := os.MkdirTemp("", "lb-demo-")
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil { // TMPDIR may be relative, and after runs in another folder
		return nil, err
	}
	d := &demoDir{path: path}
	after := exec.Command("sh", "-c", removeAfter, "sh", path)
	after.Dir = "/"
	after.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if d.alive, err = after.StdinPipe(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	switch err := after.Start(); {
	case errors.Is(err, exec.ErrNotFound): // then only remove removes it
	case err != nil:
		return nil, errors.Join(err, d.remove())
	default:
		d.after = after
	}
	return d, nil
}

// remove removes the folder.
func (d *demoDir) remove() error {
	err := os.RemoveAll(d.path)
	d.alive.Close()
	if d.after == nil {
		return err
	}
	return errors.Join(err, d.after.Wait())
}
