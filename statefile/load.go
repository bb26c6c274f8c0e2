package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Version is the version of the state files that this software writes.
const Version = 1

// The errors of Load about the content of a file. In both cases the file, or a copy of
// it, has been put aside for an operator, and the caller may continue.
var (
	ErrCorrupt = errors.New("corrupt, put aside") // none of it is used
	ErrLater   = errors.New("of a later version, of which a copy is kept")
)

// The suffixes of the names of files that were put aside.
const (
	corruptSuffix = ".corrupt"
	laterSuffix   = ".version-"
)

// Load reads the file at path and calls parse with its content. A missing file is no
// error, and parse isn't called. If parse returns an error, Load renames the file to
// name.corrupt, and its error wraps ErrCorrupt. parse may understand only a part of a
// file of a later version. The next write would replace that file, so Load keeps a copy
// of it as name.version-2 (for version 2), and its error wraps ErrLater.
func Load(path string, parse func([]byte) (Unknown, error)) (Unknown, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Unknown{}, nil
	}
	if err != nil {
		return Unknown{}, err
	}
	u, err := parse(b)
	if err != nil {
		u = Unknown{version: u.version} // the rest is in the file that is put aside
	}
	switch {
	case u.version > Version:
		kept, asideErr := putAside(path, fmt.Sprintf("%s%d", laterSuffix, u.version), b)
		if asideErr != nil {
			return u, fmt.Errorf("keep %s of version %d: %w", filepath.Base(path), u.version, asideErr)
		}
		return u, errors.Join(fmt.Errorf("%s: %w as %s", path, ErrLater, filepath.Base(kept)), err)
	case err != nil:
		if err = CopyCorrupt(path, b, err); errors.Is(err, ErrCorrupt) {
			if removeErr := os.Remove(path); removeErr != nil {
				return u, fmt.Errorf("put corrupt %s aside: %w", filepath.Base(path), removeErr)
			}
		}
		return u, err
	}
	return u, nil
}

// CheckReadable returns why files in dir can't be read; nil if they can, or aren't there, or
// if dir is "". It changes nothing.
func CheckReadable(dir string, files ...string) error {
	if dir == "" {
		return nil
	}
	for _, name := range files {
		f, err := os.Open(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		}
		f.Close()
	}
	return nil
}

// CopyCorrupt puts a copy of b, the content of the file at path, aside as name.corrupt. It
// returns an error that wraps ErrCorrupt and why, or another error if there is no copy.
func CopyCorrupt(path string, b []byte, why error) error {
	kept, err := putAside(path, corruptSuffix, b)
	if err != nil {
		return fmt.Errorf("put corrupt %s aside: %w", filepath.Base(path), err)
	}
	return fmt.Errorf("%s: %w as %s: %w", path, ErrCorrupt, filepath.Base(kept), why)
}

// putAside writes b to a file beside path and returns the path of that file. It never
// replaces a file: if the name is in use, it adds a number.
func putAside(path, suffix string, b []byte) (string, error) {
	for n := 1; ; n++ {
		kept := path + suffix
		if n > 1 {
			kept = fmt.Sprintf("%s-%d", kept, n)
		}
		switch there, err := os.ReadFile(kept); {
		case errors.Is(err, fs.ErrNotExist):
			return kept, Write(kept, b)
		case err != nil:
			return kept, err
		case bytes.Equal(there, b):
			return kept, nil
		}
	}
}

// PutAside returns the names of the files in dir that Load has put aside for files of
// these names, sorted.
func PutAside(dir string, files ...string) (names []string, err error) {
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		for _, file := range files {
			rest, ok := strings.CutPrefix(entry.Name(), file)
			if ok && (strings.HasPrefix(rest, corruptSuffix) || strings.HasPrefix(rest, laterSuffix)) {
				names = append(names, entry.Name())
			}
		}
	}
	return names, nil
}
