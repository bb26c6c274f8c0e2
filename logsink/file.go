package logsink

import (
	"fmt"
	"os"
	"sync"
)

// A file is a Sink that appends to a file.
type file struct {
	path string

	mu   sync.Mutex
	open *os.File
}

func openFile(path string) (*file, error) {
	f := &file{path: path}
	return f, f.Reopen()
}

// Reopen implements Sink.
func (f *file) Reopen() error {
	next, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.open
	f.open = next
	if before != nil {
		before.Close()
	}
	return nil
}

// Write implements Sink.
func (f *file) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open.Write(line)
}

// Close implements Sink.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open.Close()
}
