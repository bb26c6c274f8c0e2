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

// A wrk is a load of requests on keep-alive connections, each sent when
// the answer to the one before is there. What is counted is what the hosts have
// served in the window; what wrk has counted must agree with that.
type wrk struct {
	window
	path        string
	connections int
	tokens      int
}

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
	return outcome{units: units, failures: said.failures()}, plausible(said.Requests, served, links, uint64(w.connections))
}

func (w wrk) command(ctx context.Context, j job) *exec.Cmd {
	seconds := int(math.Ceil((w.warmUp + w.length + 100*time.Millisecond).Seconds()))
	cmd := exec.CommandContext(ctx, "wrk",
		"-t1", "-c"+strconv.Itoa(w.connections), "-d"+strconv.Itoa(seconds)+"s", "--timeout", "5s",
		"-s", filepath.Join(j.Dir, "tokens.lua"), j.url(w.path),
		"--", w.path, strconv.Itoa(w.tokens))
	gently(cmd)
	return cmd
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
