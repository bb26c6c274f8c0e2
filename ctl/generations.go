package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// A Replacement has another generation of the balancer serve.
type Replacement struct {
	Upgrade bool   // with another binary, not only another configuration
	Binary  string // its path on the balancer's machine; "" for the file from which it was started
	Yes     bool   // also if many tokens move
}

// changeCall bounds a change: the new generation has generations.ready to start.
const changeCall = 12 * time.Minute

type changed struct {
	Generation int
	Version    string
	Took       float64 `json:"took_seconds"`
	Changes    []string
	Impact     *reloadImpact
}

// A reloadImpact is what a change means for users: of the main pool, and of others by name.
type reloadImpact struct {
	Moved         float64
	Sessions      int
	SessionsMoved int `json:"sessions_moved"`
	Pools         map[string]reloadImpact
}

// write writes what moves. of names the pool.
func (i reloadImpact) write(w io.Writer, of string) {
	if i.Moved > 0 {
		fmt.Fprintf(w, "%s of the tokens%s move; %d of %d terminals move when they reconnect\n", percent(i.Moved), of, i.SessionsMoved, i.Sessions)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Pools)) {
		i.Pools[name].write(w, " of the pool "+name)
	}
}

func (c changed) sound() bool { return c.Generation > 0 }

// Replace makes a replacement, waits until the new generation serves, and writes what has
// changed.
func (c *Client) Replace(ctx context.Context, change Replacement, out Output) error {
	path, body := "/v1/reload", map[string]any{}
	if change.Upgrade {
		path = "/v1/upgrade"
	}
	if change.Binary != "" {
		body["binary"] = change.Binary
	}
	if change.Yes {
		body["yes"] = true
	}
	answer, err := c.callParent(ctx, http.MethodPost, path, body, changeCall)
	if err != nil {
		var r *refusal
		if errors.As(err, &r) {
			return fmt.Errorf("nothing was changed: %w", err)
		}
		return err
	}
	return show(out, answer, writeChanged)
}

func writeChanged(out io.Writer, c changed) error {
	var text bytes.Buffer
	for _, line := range c.Changes {
		fmt.Fprintln(&text, line)
	}
	if len(c.Changes) == 0 {
		fmt.Fprintln(&text, "the configuration is the same")
	}
	if c.Impact != nil {
		c.Impact.write(&text, "")
	}
	fmt.Fprintf(&text, "generation %d (%s) serves after %.1f s; no terminal was cut\n", c.Generation, c.Version, c.Took)
	_, err := text.WriteTo(out)
	return err
}

type generations struct{ Generations []generation }

type generation struct {
	ID          int
	PID         int
	State       string
	Hangs       bool
	Version     string
	Digest      string `json:"config_digest"`
	Started     time.Time
	Terminals   int
	Connections int
	CPU         float64 `json:"cpu_seconds"`
	RSS         int64   `json:"rss_bytes"`
}

// carries returns the state, and how many terminals and connections there are, "?" where the
// process doesn't say.
func (g generation) carries() (state, terminals, connections string) {
	if g.Hangs {
		return g.State + ", hangs", "?", "?"
	}
	return g.State, strconv.Itoa(g.Terminals), strconv.Itoa(g.Connections)
}

func (g generations) sound() bool { return g.Generations != nil }

// Generations writes the processes of the balancer.
func (c *Client) Generations(ctx context.Context, out Output) error {
	answer, err := c.callParent(ctx, http.MethodGet, "/v1/generations", nil, quickCall)
	if err != nil {
		return err
	}
	return show(out, answer, func(out io.Writer, g generations) error {
		if len(g.Generations) == 0 {
			_, err := fmt.Fprintln(out, "this balancer runs as one process")
			return err
		}
		table := columns(out)
		fmt.Fprintln(table, "GENERATION\tPID\tSTATE\tVERSION\tCONFIG\tSTARTED\tTERMINALS\tCONNECTIONS\tCPU\tMEMORY")
		for _, p := range g.Generations {
			state, terminals, connections := p.carries()
			fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f s\t%d MB\n", p.ID, p.PID, state, p.Version, p.Digest, instant(p.Started),
				terminals, connections, p.CPU, p.RSS>>20)
		}
		return table.Flush()
	})
}

// hangCall is how long a process that serves may take to answer a question that the parent
// answers, too.
const hangCall = 3 * time.Second

// callParent is call for what the parent of the balancer's processes answers. It asks on the
// control socket if nothing listens at the admin endpoint, because no process serves; and, for
// a question, if there is no answer, because the one that serves hangs.
func (c *Client) callParent(ctx context.Context, method, path string, body any, limit time.Duration) ([]byte, error) {
	first := limit
	if method == http.MethodGet && c.socket != "" {
		first = hangCall
	}
	answer, err := c.call(ctx, method, path, body, first)
	var silent unanswered
	canAsk := errors.Is(err, errNobodyListens) || method == http.MethodGet && errors.As(err, &silent) && ctx.Err() == nil
	if err == nil || c.socket == "" || !canAsk {
		return answer, err
	}
	if _, statErr := os.Stat(c.socket); statErr != nil {
		return nil, err
	}
	local := *c
	local.base, local.token = "http://localhost", ""
	local.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.socket)
	}}}
	defer local.client.CloseIdleConnections()
	answer, socketErr := local.call(ctx, method, path, body, limit)
	var r *refusal
	switch {
	case socketErr == nil, errors.As(socketErr, &r):
		return answer, socketErr
	case errors.Is(socketErr, syscall.EACCES):
		return nil, fmt.Errorf("%w; %s is for the balancer's own user and root", err, c.socket)
	}
	return nil, err
}
