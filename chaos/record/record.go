// Package record is what a host writes down: which token it served from when to when. A token
// stands there as a digest. Times are those of the machine's monotonic clock, which is one
// for all processes.
package record

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since the machine was started.
func Now() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // never fails for this clock
	return time.Duration(t.Nano())
}

// Digest returns by which name a token is recorded.
func Digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:6])
}

// Open is the end of a Serving that hasn't ended.
const Open time.Duration = 1<<63 - 1

// A Serving is that a host served a token, in a terminal or a request.
type Serving struct {
	Host     string
	Token    string // its digest
	Terminal bool
	From, To time.Duration // To is Open while it lasts
}

// A Writer writes servings, each in one line when it begins and one when it ends. A line is
// written at once, so that the record outlives a crash. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	out  io.Writer
	last int
}

// NewWriter returns a Writer to out, which mustn't buffer.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Begin writes that the host begins to serve a token. The caller calls end when that is over.
func (w *Writer) Begin(token string, terminal bool) (end func(), err error) {
	kind := "request"
	if terminal {
		kind = "terminal"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	id := w.last
	if _, err := fmt.Fprintf(w.out, "+ %d %d %s %s\n", int64(Now()), id, Digest(token), kind); err != nil {
		return nil, err
	}
	return func() { w.end(id) }, nil
}

// end writes that a serving is over. If that fails, the serving counts as one that hasn't ended.
func (w *Writer) end(id int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = fmt.Fprintf(w.out, "- %d %d\n", int64(Now()), id)
}

// Read reads what a Writer of the host has written, in the order of the beginnings. A last
// line that is incomplete, because the host has crashed, isn't an error.
func Read(r io.Reader, host string) ([]Serving, error) {
	var all []Serving
	index := map[int]int{}
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var at int64
		var id int
		var token, kind string
		if _, err := fmt.Sscanf(line, "+ %d %d %s %s\n", &at, &id, &token, &kind); err == nil {
			index[id] = len(all)
			all = append(all, Serving{Host: host, Token: token, Terminal: kind == "terminal", From: time.Duration(at), To: Open})
			continue
		}
		i, known := 0, false
		if _, err := fmt.Sscanf(line, "- %d %d\n", &at, &id); err == nil {
			i, known = index[id]
		}
		if !known {
			return nil, fmt.Errorf("the record of %s: line %d is neither a beginning nor the end of one: %q", host, n, line)
		}
		all[i].To = time.Duration(at)
	}
}
