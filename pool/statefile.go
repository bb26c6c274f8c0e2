package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tokenring/statefile"
)

// stateVersion is the version of the state files that this software writes.
const stateVersion = 1

// What may be in the error of loadFile when the file was there. In both cases it has
// been put aside for an operator to look at, and the caller may go on.
var (
	errCorrupt = errors.New("corrupt, put aside") // it isn't to be believed at all
	errLater   = errors.New("of a later version, of which a copy is kept")
)

// loadFile has parse read the file of that name in dir. No file is no error, and
// parse isn't called. A file in which parse finds an error is renamed, to
// name.corrupt, and the error wraps errCorrupt. Of one of a later version, in which
// parse may have understood a part, a copy is kept beside it, as name.version-2, for
// the next save would write it over; the error wraps errLater.
func loadFile(dir, name string, parse func([]byte) (leftover, error)) (leftover, error) {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return leftover{}, nil
	}
	if err != nil {
		return leftover{}, err
	}
	l, err := parse(b)
	if err != nil {
		l = leftover{version: l.version} // what is put aside has the rest
	}
	switch {
	case l.version > stateVersion:
		kept, asideErr := putAside(path, fmt.Sprintf(".version-%d", l.version), b)
		if asideErr != nil {
			return l, fmt.Errorf("keep %s of version %d: %w", name, l.version, asideErr)
		}
		return l, errors.Join(fmt.Errorf("%s: %w as %s", path, errLater, filepath.Base(kept)), err)
	case err != nil:
		kept, asideErr := putAside(path, ".corrupt", b)
		if asideErr == nil {
			asideErr = os.Remove(path)
		}
		if asideErr != nil {
			return l, fmt.Errorf("put corrupt %s aside: %w", name, asideErr)
		}
		return l, fmt.Errorf("%s: %w as %s: %w", path, errCorrupt, filepath.Base(kept), err)
	}
	return l, nil
}

// putAside writes b beside path and returns where it is. It writes nothing over: the
// name has a number behind it if something else goes by it.
func putAside(path, suffix string, b []byte) (string, error) {
	for n := 1; ; n++ {
		kept := path + suffix
		if n > 1 {
			kept = fmt.Sprintf("%s-%d", kept, n)
		}
		switch there, err := os.ReadFile(kept); {
		case errors.Is(err, fs.ErrNotExist):
			return kept, statefile.Write(kept, b)
		case err != nil:
			return kept, err
		case bytes.Equal(there, b):
			return kept, nil
		}
	}
}

// asides are the state files that were put aside, by this run or earlier ones, for
// as long as they are there: somebody has to look at them.
type asides struct {
	dir     string
	changed chan struct{} // room for one: look at list again
	names   atomic.Pointer[[]string]
}

// asideEvery is how often the directory is looked at while there is such a file.
const asideEvery = 10 * time.Second

func newAsides(dir string) *asides {
	a := &asides{dir: dir, changed: make(chan struct{}, 1)}
	a.look()
	return a
}

// list returns the files' names, sorted.
func (a *asides) list() []string { return *a.names.Load() }

// run looks whether the files are still there, until they aren't or ctx ends.
func (a *asides) run(ctx context.Context) {
	for len(a.list()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(asideEvery):
			if a.look() {
				note(a.changed)
			}
		}
	}
}

// look lists the files, and reports whether they are others than before. While the
// directory can't be read they are those that were there.
func (a *asides) look() (changed bool) {
	var names []string
	if a.dir != "" {
		entries, err := os.ReadDir(a.dir) // sorted
		if err != nil && a.names.Load() != nil {
			return false
		}
		for _, entry := range entries {
			for _, file := range []string{decisionsName, membersName} {
				rest, ok := strings.CutPrefix(entry.Name(), file)
				if ok && (strings.HasPrefix(rest, ".corrupt") || strings.HasPrefix(rest, ".version-")) {
					names = append(names, entry.Name())
				}
			}
		}
	}
	before := a.names.Swap(&names)
	return before == nil || !slices.Equal(*before, names)
}

// alarm says what was put aside; "" if nothing was.
func (a *asides) alarm() string {
	names := a.list()
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("%s in %s couldn't be read, or was written by a later version of lb, and was put aside: look whether decisions in it are missing here, decide them anew, and remove it",
		few(names), a.dir)
}
