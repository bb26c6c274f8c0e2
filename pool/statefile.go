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
