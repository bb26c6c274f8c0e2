package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"tokenring/route"
)

// A Balancer is what the demo needs of the balancer that it shows.
type Balancer struct {
	Run         func(context.Context) error
	Close       func() // called if Run is not
	Snapshot    func() *route.Snapshot
	SessionHost func(key []byte) string // the host of a token's live terminals, "" if it has none
	URL         string                  // for users, without a path
	AdminURL    string
	AdminToken  string // a secret
}

// A Region is a balancer and IDE hosts in one process. It prints what happens, and reads
// the user's commands.
type Region struct {
	Balancer Balancer
	Announce func(context.Context, Announcement) error // runs a host's agent until ctx ends
	Hosts    int
	Shell    bool // hosts run real shells
	In       io.Reader
	Out      io.Writer
	Log      zerolog.Logger

	machines []*machine

	mu     sync.Mutex
	broken error // why Out can't be written
}

// Run runs the balancer and the hosts until ctx ends, the user quits, or a part
// fails.
func (r *Region) Run(ctx context.Context) error {
	if err := r.setUp(); err != nil {
		r.Balancer.Close()
		return err
	}
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Balancer.Run(ctx) })
	for _, m := range r.machines {
		g.Go(func() error { return m.supervise(ctx) })
	}
	g.Go(func() error { return r.printChanges(ctx) })
	go r.readCommands(quit) // ends with In: a read from a terminal can't be interrupted
	return g.Wait()
}

// setUp makes the hosts.
func (r *Region) setUp() error {
	for i := range r.Hosts {
		m, err := newMachine(fmt.Sprintf("ide-%d", i+1), uint32(i+1), r)
		if err != nil {
			for _, m := range r.machines {
				m.ln.Close()
			}
			return err
		}
		r.machines = append(r.machines, m)
	}
	return nil
}

// print writes a line to Out. If that fails, printChanges returns the error. Safe for
// concurrent use.
func (r *Region) print(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := fmt.Fprintf(r.Out, format+"\n", args...); err != nil {
		r.broken = err
	}
}

// outError returns why Out can't be written any more, nil if it can.
func (r *Region) outError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return fmt.Errorf("standard output: %w", r.broken)
	}
	return nil
}

// printChanges prints the URLs when all hosts serve, and then every change of a user's
// host. It returns nil when ctx ends, and an error when Out can't be written any more.
func (r *Region) printChanges(ctx context.Context) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	before, welcomed := state{}, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		snapshot := r.Balancer.Snapshot()
		now := stateOf(snapshot, r.Balancer.SessionHost)
		switch {
		case welcomed:
			for _, line := range now.since(before) {
				r.print("%s", line)
			}
		case r.complete(snapshot):
			r.welcome(now)
			welcomed = true
		}
		before = now
		if err := r.outError(); err != nil {
			return err
		}
	}
}

// complete reports whether all hosts are in the table in force and serve.
func (r *Region) complete(snapshot *route.Snapshot) bool {
	serving := 0
	for _, placed := range snapshot.Table.Hosts() {
		if h := snapshot.Host(placed.Name); h != nil && h.Serving() {
			serving++
		}
	}
	return serving == len(r.machines)
}

func (r *Region) welcome(now state) {
	r.print("A balancer and %d IDE hosts are running, on loopback only.\n", len(r.machines))
	for _, u := range now.users[:2] {
		r.print("  %s/?token=%s   a terminal on %s", r.Balancer.URL, u.token, u.next())
	}
	r.print("  %s/#token=%s   the dashboard", r.Balancer.AdminURL, r.Balancer.AdminToken)
	r.print("  admin token: %s\n", r.Balancer.AdminToken)
	r.print("The certificate is self-signed, so the browser warns. Type a number and Enter")
	r.print("to stop or start a host, k and a number to make it crash, q or Ctrl-C to quit.\n")
	r.print("%s", now.placement())
}

// readCommands runs the commands that the user types, until the input ends.
func (r *Region) readCommands(quit func()) {
	for lines := bufio.NewScanner(r.In); lines.Scan(); {
		word := strings.TrimSpace(lines.Text())
		if word == "q" {
			quit()
			return
		}
		number, crash := strings.CutPrefix(word, "k")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		switch {
		case word == "":
		case err != nil || n < 1 || n > len(r.machines):
			r.print("Type a number from 1 to %d, k and a number, or q.", len(r.machines))
		case crash:
			r.machines[n-1].command(commandCrash)
		default:
			r.machines[n-1].command(commandToggle)
		}
	}
}
