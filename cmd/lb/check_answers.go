package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"tokenring/config"
	"tokenring/health"
	"tokenring/proxy"
)

// Bounds of asking the hosts for answers.
const (
	askedAtOnce = 32 // hosts
	askTimeout  = 5 * time.Second
)

// An asked is one host to ask, and what came of it for each path.
type asked struct {
	name, address string
	results       []proxy.ProbeResult
}

// askHosts asks the file's hosts, or those of --address, for answers, and prints
// what a balancer would do with each. Its error says how many it would refuse.
func (c *checkCmd) askHosts(ctx context.Context, cfg *config.Config, out io.Writer) error {
	paths, err := c.askedPaths(cfg)
	if err != nil {
		return usageError{err}
	}
	hosts, err := c.askedHosts(cfg)
	if err != nil {
		return usageError{err}
	}
	p := proxy.Probe{Limits: cfg.Limits.Response, Timeout: askTimeout, Host: cfg.Health.Host}
	var group errgroup.Group
	group.SetLimit(askedAtOnce)
	for i := range hosts {
		group.Go(func() error {
			hosts[i].ask(ctx, p, paths)
			return nil
		})
	}
	_ = group.Wait()
	return printAsked(out, hosts, paths)
}

// askedPaths returns the path of the checks, the root, and what --path names.
func (c *checkCmd) askedPaths(cfg *config.Config) ([]string, error) {
	var paths []string
	for _, path := range append([]string{cfg.Health.CheckPath(), "/"}, c.Path...) {
		if path == "" || slices.Contains(paths, path) {
			continue
		}
		if err := health.ValidPath(path); err != nil {
			return nil, fmt.Errorf("--path: the path %w", err)
		}
		if strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			return nil, errors.New("--path: a blank or a letter that isn't ASCII; write it as %20 and the like")
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func (c *checkCmd) askedHosts(cfg *config.Config) ([]asked, error) {
	var hosts []asked
	for _, address := range c.Address {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("--address: %q is not host:port", address)
		}
		hosts = append(hosts, asked{name: address, address: address})
	}
	if len(hosts) > 0 {
		return hosts, nil
	}
	for _, h := range cfg.Pool.Hosts {
		hosts = append(hosts, asked{name: h.Name, address: h.Address})
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("%s lists no hosts under pool.hosts: name those to ask with --address HOST:PORT", c.Config)
	}
	return hosts, nil
}

// ask asks for each path in turn, until the host can't be reached.
func (a *asked) ask(ctx context.Context, p proxy.Probe, paths []string) {
	for _, path := range paths {
		r := p.Ask(ctx, a.address, path)
		a.results = append(a.results, r)
		if r.Err != nil && r.Status == 0 {
			return
		}
	}
}

// printAsked prints a line for each answer and their sum.
func printAsked(out io.Writer, hosts []asked, paths []string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tADDRESS\tPATH\tSTATUS\tANSWER")
	var refused, repaired, missing int
	for _, h := range hosts {
		for i, r := range h.results {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.name, h.address, withoutQuery(paths[i]), shownStatus(r.Status), whatBecomesOf(r))
			switch {
			case r.Refused != "":
				refused++
			case r.Err != nil:
				missing++
			case len(r.Repairs) > 0:
				repaired++
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d refused, %d repaired, %d without an answer\n", refused, repaired, missing)
	switch {
	case refused > 0:
		return errors.New("clients would get 502 for what is refused: docs/migrating.md says what and why")
	case missing > 0:
		return errors.New("not all hosts have answered")
	}
	return nil
}

// withoutQuery returns a path as it may be shown: its query may hold a token.
func withoutQuery(path string) string {
	if before, _, found := strings.Cut(path, "?"); found {
		return before + "?…"
	}
	return path
}

func shownStatus(status int) string {
	if status == 0 {
		return "-"
	}
	return fmt.Sprint(status)
}

// whatBecomesOf says what a balancer would do with an answer.
func whatBecomesOf(r proxy.ProbeResult) string {
	switch {
	case r.Refused != "":
		return "refused: " + r.Refused
	case r.Err != nil:
		return "none: " + whyUnanswered(r.Err)
	case len(r.Repairs) > 0:
		return "repaired: " + strings.Join(r.Repairs, "; ")
	}
	return "passed on as it is"
}

// whyUnanswered puts an error of the network into an operator's words.
func whyUnanswered(err error) string {
	var name *net.DNSError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("nothing within %s", askTimeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.As(err, &name):
		return "the name doesn't resolve"
	}
	return err.Error()
}
