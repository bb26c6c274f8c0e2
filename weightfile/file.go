// Package weightfile reads the weight of a host from a file, and again when the file
// changes. A program that knows how much the host can take writes a number into it.
package weightfile

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/route"
)

// interval is the time between two reads of a weight file.
const interval = 2 * time.Second

// A File holds the weight of a host. One goroutine at a time uses it.
type File struct {
	Path   string
	Weight int // the last weight that was read; at first the one without a file
	Log    zerolog.Logger

	wrong string // what was logged last to be wrong with the file; "" if nothing is
}

// While calls run with the weight in the file and with a channel on which each new
// weight comes, and returns what run returns. It reads the file for as long as run
// runs.
func (f *File) While(ctx context.Context, run func(weight int, weights <-chan int) error) error {
	f.read()
	weight, weights := f.Weight, make(chan int)
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { f.watch(ctx, weights) })
	defer watching.Wait()
	defer cancel()
	return run(weight, weights)
}

// watch sends each new weight until ctx ends.
func (f *File) watch(ctx context.Context, weights chan<- int) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !f.read() {
			continue
		}
		select {
		case weights <- f.Weight:
		case <-ctx.Done():
			return
		}
	}
}

// read reads the file and reports whether it holds another weight than before. It
// logs what is wrong with the file once, not at each read.
func (f *File) read() (changed bool) {
	weight, err := readWeight(f.Path)
	if err != nil {
		if f.wrong != err.Error() {
			f.wrong = err.Error()
			f.Log.Error().Err(err).Int("stays", f.Weight).Msg("weight file can't be used; write a number into it")
		}
		return false
	}
	f.wrong = ""
	changed = weight != f.Weight
	f.Weight = weight
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
	if !info.Mode().IsRegular() { // to open a pipe would block until somebody writes
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
	if err != nil || len(text) > longest || weight < 0 || weight > route.MaxWeight {
		return 0, fmt.Errorf("%s holds something else than a number from 0 to %d", path, route.MaxWeight)
	}
	return weight, nil
}
