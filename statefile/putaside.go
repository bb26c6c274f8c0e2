package statefile

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"tokenring/notify"
)

// An Aside lists the state files of a directory that Load has put aside, in this run or an
// earlier one, until an operator has removed them. Its methods are safe for concurrent
// use.
type Aside struct {
	dir     string
	files   []string
	changed notify.Note
	names   atomic.Pointer[[]string]
}

// asideEvery is the time between two lists of the directory while there are such files.
const asideEvery = 10 * time.Second

// WatchAside returns an Aside for state files in dir. If dir is "", there are never any
// files.
func WatchAside(dir string, files ...string) *Aside {
	a := &Aside{dir: dir, files: files, changed: notify.NewNote()}
	a.Refresh()
	return a
}

// Names returns the names of the files that have been put aside, sorted.
func (a *Aside) Names() []string { return *a.names.Load() }

// Changed returns the note that is left when the result of Names has changed.
func (a *Aside) Changed() notify.Note { return a.changed }

// Run lists the files at intervals until none is left or ctx ends.
func (a *Aside) Run(ctx context.Context) {
	for len(a.Names()) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(asideEvery):
			a.Refresh()
		}
	}
}

// Refresh lists the files now. If the directory can't be read, the list stays as it was.
func (a *Aside) Refresh() {
	var names []string
	if a.dir != "" {
		var err error
		names, err = PutAside(a.dir, a.files...)
		if err != nil && a.names.Load() != nil {
			return
		}
	}
	if before := a.names.Swap(&names); before == nil || !slices.Equal(*before, names) {
		a.changed.Leave()
	}
}
