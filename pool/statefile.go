package pool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// errCorrupt is in the error of loadFile when the file was there but not to be
// believed, and has been put aside.
var errCorrupt = errors.New("corrupt, put aside")

// loadFile has parse read the file of that name in dir. No file is no error, and
// parse isn't called. A file in which parse finds an error is renamed to
// name.corrupt, for an operator to look at, and the error wraps errCorrupt: the
// caller may go on without.
func loadFile(dir, name string, parse func([]byte) error) error {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := parse(b); err != nil {
		if renameErr := os.Rename(path, path+".corrupt"); renameErr != nil {
			return fmt.Errorf("put corrupt %s aside: %w", name, renameErr)
		}
		return fmt.Errorf("%s: %w as %s.corrupt: %w", path, errCorrupt, name, err)
	}
	return nil
}

// saveFile writes b to the file of that name in dir, which must exist: at any
// moment, and after a power cut, the file holds either what it held before or b.
func saveFile(dir, name string, b []byte) error {
	path := filepath.Join(dir, name)
	if err := writeSynced(path+".new", b); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
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
