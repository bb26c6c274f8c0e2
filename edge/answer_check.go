package edge

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
	"tokenring/hosttls"
	"tokenring/netaddr"
	"tokenring/pool/hostlist"
	"tokenring/proxy/upstream"
	"tokenring/route"
)

// Bounds for asking hosts.
const (
	askedAtOnce = 32              // how many hosts
	askTimeout  = 5 * time.Second // for one answer
)

// An AnswerCheck asks hosts for answers, reads the answers as a balancer does, and says
// what a balancer would do with each.
type AnswerCheck struct {
	File      string   // the name of the configuration file, for errors
	Paths     []string // more paths to ask for, besides the path of the checks and /
	Addresses []string // host:port of the hosts to ask, as hosts of the main pool, instead of the hosts in the file

	hosts []askedHost
}

// An askedHost is a host to ask, and the result for each path.
type askedHost struct {
	name, address string
	probe         upstream.Probe
	paths         []string
	results       []upstream.ProbeResult
}

// Prepare sets which hosts are asked for which paths. Its error says what is wrong with
// Paths or Addresses.
func (c *AnswerCheck) Prepare(cfg *config.Config) error {
	if len(c.Addresses) > 0 {
		hosts, err := c.named()
		if err != nil {
			return err
		}
		return c.add(cfg, hosts)
	}
	for _, pool := range append([]string{""}, cfg.PoolNames()...) {
		own := cfg.OfPool(pool)
		if err := c.add(own, own.ListedHosts()); err != nil {
			return err
		}
	}
	if len(c.hosts) == 0 {
		return fmt.Errorf("%s lists no hosts in pool.hosts or pool.hosts_file: name those to ask with --address HOST:PORT", c.File)
	}
	return nil
}

// named returns the hosts at Addresses.
func (c *AnswerCheck) named() (hosts []hostlist.Host, err error) {
	for _, address := range c.Addresses {
		_, unix := netaddr.UnixPath(address)
		if _, _, err := net.SplitHostPort(address); err != nil && !unix {
			return nil, fmt.Errorf("--address: %q is not host:port, and not unix:PATH", address)
		}
		hosts = append(hosts, hostlist.Host{Spec: route.Spec{Name: address, Address: address}})
	}
	return hosts, nil
}

// add adds hosts of the pool of which cfg is.
func (c *AnswerCheck) add(cfg *config.Config, hosts []hostlist.Host) error {
	probe := upstream.Probe{Limits: cfg.Limits.Response.Heads(), Timeout: askTimeout, Host: cfg.Health.Host, SendProxy: cfg.Pool.SendProxy != ""}
	paths, err := c.pathsBeside(cfg.Health.CheckPath())
	if err != nil {
		return err
	}
	if t := cfg.Pool.TLS; t != nil {
		m, err := t.Read()
		if err != nil {
			return fmt.Errorf("tls to hosts: %w", err)
		}
		probe.TLS = hosttls.New(*t, m)
	}
	for _, h := range hosts {
		c.hosts = append(c.hosts, askedHost{name: h.Name, address: h.Address, probe: probe, paths: paths})
	}
	return nil
}

// pathsBeside returns the path of the checks, the root, and Paths.
func (c *AnswerCheck) pathsBeside(checks string) (paths []string, err error) {
	for _, path := range append([]string{checks, "/"}, c.Paths...) {
		if path == "" || slices.Contains(paths, path) {
			continue
		}
		if err := health.ValidPath(path); err != nil {
			return nil, fmt.Errorf("--path: the path %w", err)
		}
		if strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			return nil, errors.New("--path: the path has a blank or a character that isn't ASCII; percent-encode it, such as %20")
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// Run asks the hosts, and writes what a balancer would do with each answer. It returns an
// error if an answer would be refused or hasn't come.
func (c *AnswerCheck) Run(ctx context.Context, out io.Writer) error {
	var group errgroup.Group
	group.SetLimit(askedAtOnce)
	for i := range c.hosts {
		group.Go(func() error {
			c.hosts[i].ask(ctx)
			return nil
		})
	}
	_ = group.Wait()
	return printAsked(out, c.hosts)
}

// ask asks for one path after the other. It stops if the host can't be reached.
func (a *askedHost) ask(ctx context.Context) {
	for _, path := range a.paths {
		r := a.probe.Ask(ctx, a.address, path)
		a.results = append(a.results, r)
		if r.Err != nil && r.Status == 0 {
			return
		}
	}
}

// printAsked prints a line for each answer, and how many answers of each kind there are.
// It returns an error if an answer would be refused or hasn't come.
func printAsked(out io.Writer, hosts []askedHost) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tADDRESS\tPATH\tSTATUS\tANSWER")
	var refused, repaired, missing int
	for _, h := range hosts {
		for i, r := range h.results {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.name, h.address, withoutQuery(h.paths[i]), shownStatus(r.Status), whatBecomesOf(r))
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

// withoutQuery returns a path without its query, which may have a token.
func withoutQuery(path string) string {
	if before, _, found := strings.Cut(path, "?"); found {
		return before + "?…"
	}
	return path
}

// shownStatus returns a status as text, "-" for none.
func shownStatus(status int) string {
	if status == 0 {
		return "-"
	}
	return fmt.Sprint(status)
}

// whatBecomesOf describes what a balancer would do with an answer.
func whatBecomesOf(r upstream.ProbeResult) string {
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

// whyUnanswered describes an error of the network for operators.
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
