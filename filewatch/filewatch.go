// Package filewatch reads files again when they have changed. What can't be used changes
// nothing, and a file that is being written isn't taken for the whole.
package filewatch

import (
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tokenring/notify"
)

// interval is the time between two looks. A change counts if two looks in a row have found
// the same: after two seconds at the latest.
const interval = time.Second

// A Watch reads files that belong together, such as the two files of two secrets. T is
// what they say. Its methods are safe for concurrent use, but only one goroutine calls
// Run.
type Watch[T any] struct {
	paths   []string
	read    func() (T, error)
	found   []stamp // by the last look
	taken   []stamp // of what was read last
	changes notify.Latest[Change[T]]
	problem atomic.Pointer[string] // of the last read; "" if there is none
}

// A Change is what the files say now, or why that can't be used.
type Change[T any] struct {
	Value T
	Err   error // Value is the zero value then, and what was read before stays in force
}

// Open reads the files with read, and returns what they say. read must not keep what it
// has read: Run calls it again. Without paths there is nothing to watch, and Open doesn't
// call read.
func Open[T any](read func() (T, error), paths ...string) (w *Watch[T], now T, err error) {
	w = &Watch[T]{paths: paths, read: read, changes: notify.NewLatest[Change[T]]()}
	w.problem.Store(new(""))
	if len(paths) == 0 {
		return w, now, nil
	}
	w.taken = stampsOf(paths)
	w.found = w.taken
	now, err = read()
	return w, now, err
}

// Watches reports whether there are files to watch.
func (w *Watch[T]) Watches() bool { return len(w.paths) > 0 }

// Changes returns the channel of the newest Change.
func (w *Watch[T]) Changes() <-chan Change[T] { return w.changes }

// Problem returns why the content of the files isn't in use, "" if it is.
func (w *Watch[T]) Problem() string { return *w.problem.Load() }

// Run looks at the files again and again until ctx ends.
func (w *Watch[T]) Run(ctx context.Context) {
	if !w.Watches() {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.look()
		}
	}
}

// Follow is Run, and calls use with each Change.
func (w *Watch[T]) Follow(ctx context.Context, use func(Change[T])) {
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-w.changes:
			use(c)
		}
	}
}

// look reads the files if they have changed and have stayed the same since the last look.
// It reads them at each look as long as there is a problem, which may not be of the files,
// such as too many open ones.
func (w *Watch[T]) look() {
	now := stampsOf(w.paths)
	same := slices.Equal(now, w.found)
	w.found = now
	before := w.Problem()
	if !same || slices.Equal(now, w.taken) && before == "" {
		return
	}
	value, err := w.read()
	w.taken = now
	switch {
	case err == nil:
		w.problem.Store(new(""))
		w.changes.Set(Change[T]{Value: value})
	case err.Error() != before:
		w.problem.Store(new(err.Error()))
		w.changes.Set(Change[T]{Err: err})
	}
}

// A stamp changes when a file changes. A file that isn't there has the zero stamp.
type stamp struct {
	modified, changed time.Time
	size              int64
	inode             uint64
}

// stampsOf returns the stamps of files. It follows symbolic links, so that the change of a
// link is a change of the file.
func stampsOf(paths []string) []stamp {
	all := make([]stamp, len(paths))
	for i, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		all[i] = stamp{modified: info.ModTime(), size: info.Size()}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			all[i].inode, all[i].changed = sys.Ino, time.Unix(sys.Ctim.Unix())
		}
	}
	return all
}
