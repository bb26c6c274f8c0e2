package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// weightPause is how long a weight file isn't looked at.
const weightPause = 2 * time.Second

// A weightFile is a file that holds a host's weight. One goroutine at a time uses
// it.
type weightFile struct {
	path   string
	weight int    // the last good one
	wrong  string // what was said last to be wrong with the file; "" if nothing is
	log    zerolog.Logger
}

// watch sends each new weight until ctx ends.
func (f *weightFile) watch(ctx context.Context, weights chan<- int) {
	ticker := time.NewTicker(weightPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !f.look() {
			continue
		}
		select {
		case weights <- f.weight:
		case <-ctx.Done():
			return
		}
	}
}

// look reads the file and reports whether it holds another weight than before. It
// logs what is wrong with the file once, not at each look.
func (f *weightFile) look() (changed bool) {
	weight, err := readWeight(f.path)
	if err != nil {
		if f.wrong != err.Error() {
			f.wrong = err.Error()
			f.log.Error().Err(err).Int("stays", f.weight).Msg("weight file can't be used; write a number into it")
		}
		return false
	}
	f.wrong = ""
	changed = weight != f.weight
	f.weight = weight
	return changed
}

// readWeight returns the number in a file, with white space around it or not.
// Errors don't show what is in the file: it may be another one, such as the pool's
// key.
func readWeight(path string) (int, error) {
	const longest = 64 // bytes; more is something else
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would take until somebody writes
		return 0, fmt.Errorf("%s is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, longest+1))
	if err != nil {
		return 0, err
	}
	number := strings.TrimSpace(string(text))
	if number == "" {
		return 0, fmt.Errorf("%s is empty", path)
	}
	weight, err := strconv.Atoi(number)
	if err != nil || len(text) > longest || weight < 0 || weight > 256 {
		return 0, fmt.Errorf("%s holds something else than a number from 0 to 256", path)
	}
	return weight, nil
}
