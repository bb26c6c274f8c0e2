// Package testlog has the log of a test. Only tests import it.
package testlog

import (
	"bytes"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// A Buffer is a log that may be read while it is written. The zero value is empty. Its methods
// are safe for concurrent use.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what has been written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Logger returns a logger of all levels that writes to b.
func (b *Buffer) Logger() zerolog.Logger { return zerolog.New(b) }

// Lines returns the lines in which all of parts are.
func (b *Buffer) Lines(parts ...string) (found []string) {
	for line := range strings.Lines(b.String()) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}
