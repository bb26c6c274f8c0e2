package health

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Expect says which answers pass. The zero Expect lets each status of 200 to 399 pass.
type Expect struct {
	// Status are the statuses that pass: numbers and ranges, such as "200-299,304".
	Status string `yaml:"status"`
	// Text must be in the first 64 KB of the answer's body; "" for any body.
	Text string `yaml:"text"`
}

// Check returns what is wrong with e, nil if nothing.
func (e Expect) Check() error {
	_, err := parseStatuses(e.Status)
	return err
}

// statuses are the ranges of statuses that pass.
type statuses []struct{ from, to int }

// defaultStatuses pass if none are configured.
var defaultStatuses = statuses{{200, 399}}

var errStatuses = errors.New("isn't a list of statuses and ranges of them, such as 200-299,304")

func parseStatuses(text string) (statuses, error) {
	if text == "" {
		return defaultStatuses, nil
	}
	var all statuses
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranges := strings.Cut(strings.TrimSpace(part), "-")
		if !ranges {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 200 || to > 599 || from > to {
			return nil, fmt.Errorf("%q %w; final statuses are 200 to 599", text, errStatuses)
		}
		all = append(all, struct{ from, to int }{from, to})
	}
	return all, nil
}

func (s statuses) have(status int) bool {
	for _, r := range s {
		if r.from <= status && status <= r.to {
			return true
		}
	}
	return false
}

// A body is what is read of an answer's body. It looks for a text.
type body struct {
	text  []byte // nil for none
	read  []byte // the last bytes, in which the text may have begun
	found bool
}

// read reads from r to its end. A body that ends early is no failure.
func (b *body) readAll(r io.Reader) {
	if len(b.text) == 0 {
		b.found = true
		_, _ = io.Copy(io.Discard, r)
		return
	}
	_, _ = io.Copy(b, r)
}

// Write implements io.Writer.
func (b *body) Write(p []byte) (int, error) {
	if b.found {
		return len(p), nil
	}
	b.read = append(b.read, p...)
	b.found = bytes.Contains(b.read, b.text)
	if keep := len(b.text) - 1; len(b.read) > keep {
		b.read = append(b.read[:0], b.read[len(b.read)-keep:]...)
	}
	return len(p), nil
}
