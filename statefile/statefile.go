// Package statefile writes files that survive a crash, and reads and makes the
// secrets that are kept in files. It knows no file's meaning: the callers do.
package statefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write makes path a file that holds data and that only its owner may read. At
// any moment, and after a power cut, the file holds either what it held before
// or data. The directory must exist. Two writers of one path at once are the
// caller's fault.
func Write(path string, data []byte) error {
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	err := writeSynced(next, data)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next) // half a file would take room on a disk that is full
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeSynced sets the mode again: a file that is left from a crash keeps its own.
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

// MakeDir makes dir, and what is missing above it, for its owner alone, and makes
// sure that files can be written there. The mode of a directory that exists stays
// as it is.
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
