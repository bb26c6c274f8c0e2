package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// A wrk is a load of small requests on keep-alive connections, each sent when
// the answer to the one before is there. What is counted is what the hosts have
// served in the window; what wrk has counted must agree with that.
type wrk struct {
	ides        *hosts
	path        string
	connections int
	tokens      int
	window      time.Duration
}

// warmUp is how long the load runs before the window begins: connections and
// TLS handshakes are not part of the figure.
const warmUp = 500 * time.Millisecond

func (w wrk) run(ctx context.Context, j job, mark func() error) (outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served, links := w.ides.served.Load(), w.ides.links.Load()
	var out bytes.Buffer
	cmd := w.command(ctx, j)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	units, err := w.watch(ctx, mark)
	if err != nil {
		cancel()
		_ = cmd.Wait()
		return outcome{}, err
	}
	if err := cmd.Wait(); err != nil {
		return outcome{}, fmt.Errorf("wrk: %w: %s", err, &out)
	}
	said, err := parseTally(out.Bytes())
	if err != nil {
		return outcome{}, err
	}
	served, links = w.ides.served.Load()-served, w.ides.links.Load()-links
	return outcome{units: units, failures: said.failures()}, w.plausible(said, served, links)
}

func (w wrk) command(ctx context.Context, j job) *exec.Cmd {
	seconds := int(math.Ceil((warmUp + w.window + 100*time.Millisecond).Seconds()))
	cmd := exec.CommandContext(ctx, "wrk",
		"-t1", "-c"+strconv.Itoa(w.connections), "-d"+strconv.Itoa(seconds)+"s", "--timeout", "5s",
		"-s", filepath.Join(j.Dir, "tokens.lua"), j.url(w.path),
		"--", w.path, strconv.Itoa(w.tokens))
	gently(cmd)
	return cmd
}

// watch marks the window's begin and end, and counts what is served between.
func (w wrk) watch(ctx context.Context, mark func() error) (uint64, error) {
	if err := pause(ctx, warmUp); err != nil {
		return 0, err
	}
	if err := mark(); err != nil {
		return 0, err
	}
	before := w.ides.served.Load()
	if err := pause(ctx, w.window); err != nil {
		return 0, err
	}
	err := mark()
	return w.ides.served.Load() - before, err
}

// pause waits for d. It returns earlier, with an error, if ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// plausible compares what wrk and the hosts have counted over the whole run: if
// a proxy answered by itself, or asked twice, or opened a connection for every
// request, then its figure is one for another job.
func (w wrk) plausible(said tally, served, links uint64) error {
	slack := uint64(2 * w.connections) // under way when wrk stopped
	switch {
	case served+slack < said.Requests, said.Requests+slack < served:
		return fmt.Errorf("wrk got %d answers, but the hosts gave %d", said.Requests, served)
	case links*10 > served:
		return fmt.Errorf("%d connections to the hosts for %d requests: they aren't kept alive", links, served)
	}
	return nil
}

// A tally is what tokens.lua prints at the end.
type tally struct{ Requests, Connect, Read, Write, Status, Timeout uint64 }

func (t tally) failures() uint64 { return t.Connect + t.Read + t.Write + t.Status + t.Timeout }

// parseTally finds the tally in what wrk has printed.
func parseTally(out []byte) (tally, error) {
	var t tally
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("{")) {
			err := json.Unmarshal(line, &t)
			return t, err
		}
	}
	return t, fmt.Errorf("wrk printed no tally: %s", out)
}
