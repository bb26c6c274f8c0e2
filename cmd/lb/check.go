package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"tokenring/config"
	"tokenring/edge"
)

type checkCmd struct {
	Config  string   `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
	Answers bool     `help:"Ask the hosts for answers, too, and say which answers a balancer would refuse."`
	Path    []string `placeholder:"PATH" sep:"none" help:"With --answers: one more path to ask for; may be repeated."`
	Address []string `placeholder:"HOST:PORT" help:"With --answers: ask this host instead of the hosts in the file; may be repeated."`
}

// Help is the text that --help adds.
func (checkCmd) Help() string {
	return `Reads the file as "lb run" would, with the certificates and secrets that it
names, and starts nothing. Shows every mistake with its line. Exits with 0 if the
file is right, and with 2 if it isn't. Something that works now and may become a
problem, such as a certificate that expires soon, is a warning on standard error.
Warnings don't change the exit code.

With --answers it then sends GET requests to each host in the file: for the path of
the checks, for / and for each --path. It reads the answers as a balancer does, and
says which answers a balancer would refuse or repair, and why. Each answer may take
5 s. The hosts get ordinary requests, with health.host as the Host field if it is
set. Queries aren't shown. Exits with 1 if an answer would be refused or didn't come.`
}

// Run checks the file.
func (c *checkCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return usageError{err}
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(s.err, w)
	}
	if cfg.GSLB != nil {
		fmt.Fprintf(s.out, "%s: ok: server of names %s, zone %s, %d region(s), %d service(s)\n", c.Config, cfg.Name, cfg.GSLB.Zone.Name, len(cfg.GSLB.Regions), len(cfg.GSLB.Services))
		return nil
	}
	fmt.Fprintf(s.out, "%s: ok: balancer %s, %d listener(s), %d host(s) listed, gossip %s, policy %s\n",
		c.Config, cfg.Name, len(cfg.Listen), len(cfg.ListedHosts()), onOff(cfg.Pool.Bind != ""), cfg.Hash.Policy)
	for _, name := range cfg.PoolNames() {
		own := cfg.OfPool(name)
		found := ""
		if dns := own.Pool.DNS; dns != nil {
			found = ", those of " + dns.Name
		}
		fmt.Fprintf(s.out, "pool %s: %d host(s) listed%s, gossip %s, policy %s\n", name, len(own.ListedHosts()), found, onOff(own.Pool.Bind != ""), own.Hash.Policy)
	}
	warned := slices.ContainsFunc(cfg.Warnings(), func(w config.Warning) bool { return w.Key == "state_dir" })
	if _, err := os.Stat(cfg.StateDir); errors.Is(err, fs.ErrNotExist) && !warned {
		fmt.Fprintf(s.out, "state_dir %s doesn't exist yet; lb run makes it\n", cfg.StateDir)
	}
	switch {
	case c.Answers:
		return c.askHosts(ctx, cfg, s)
	case len(c.Path)+len(c.Address) > 0:
		return usageError{errors.New("--path and --address need --answers")}
	}
	return nil
}

// askHosts asks the hosts for answers.
func (c *checkCmd) askHosts(ctx context.Context, cfg *config.Config, s *streams) error {
	answers := edge.AnswerCheck{File: c.Config, Paths: c.Path, Addresses: c.Address}
	if err := answers.Prepare(cfg); err != nil {
		return usageError{err}
	}
	return answers.Run(ctx, s.out)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
