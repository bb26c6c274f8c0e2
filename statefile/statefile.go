// Package statefile writes files that survive a crash, preserves the parts of them that
// a later version has written, and reads and makes secrets in files. The meaning of a
// file is up to the caller.
package statefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The bounds of a time in a file, or in a message of a file's form: inside, it survives JSON
// and arithmetic.
var (
	minTime = time.Unix(0, 0)
	maxTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// ValidTime reports whether t is within the bounds: 1970 to 2200.
func ValidTime(t time.Time) bool { return !t.Before(minTime) && !t.After(maxTime) }

// Write writes data to a file at path that only its owner may read. At any moment, and
// after a power cut, the file has either its old content or data. The directory must
// exist. The caller must not write one path twice at the same time.
func Write(path string, data []byte) error {
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	err := writeSynced(next, data)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next) // the disk may be full
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeSynced writes and syncs a file. It also sets the mode, since a file that a crash
// has left keeps its old mode.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = f.Chmod(0o600)
	if err == nil {
		_, err = f.Write(data)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MakeDir makes dir and its missing parents with access for the owner only, and checks
// that files can be written in dir. It doesn't change the mode of a directory that
// exists.
func MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	probe := filepath.Join(dir, "probe")
	if err := Write(probe, []byte("written to find out whether it can be\n")); err != nil {
		return fmt.Errorf("write to the directory: %w", err)
	}
	return os.Remove(probe)
}
