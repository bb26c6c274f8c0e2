package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"tokenring/config"
)

type checkCmd struct {
	Config  string   `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
	Answers bool     `help:"Ask the hosts for answers too, and say which would be refused."`
	Path    []string `placeholder:"PATH" sep:"none" help:"With --answers: one more path to ask for; may be repeated."`
	Address []string `placeholder:"HOST:PORT" help:"With --answers: ask this host instead of the file's; may be repeated."`
}

// Help is the text that --help adds.
func (checkCmd) Help() string {
	return `Reads the file as "lb run" would, with the certificates and secrets that it
names, and starts nothing. Every mistake is shown with its line. Exits with 0
if the file is right, and with 2 if it isn't. What works and may become a
trouble, such as a certificate that expires soon, is shown as a warning on
standard error, and doesn't change the exit code.

With --answers it then sends each host that the file lists a GET for the path of
the checks, for / and for each --path, reads the answers as a balancer does, and
says which would be refused, which would be set right, and why. Each has 5 s. The
hosts see ordinary requests; health.host, if set, is their Host field. Queries
aren't shown. Exits with 1 if an answer would be refused or didn't come.`
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
	fmt.Fprintf(s.out, "%s: ok: balancer %s, %d listener(s), %d host(s) listed, gossip %s, policy %s\n",
		c.Config, cfg.Name, len(cfg.Listen), len(cfg.Pool.Hosts), onOff(cfg.Pool.Bind != ""), cfg.Hash.Policy)
	warned := slices.ContainsFunc(cfg.Warnings(), func(w config.Warning) bool { return w.Key == "state_dir" })
	if _, err := os.Stat(cfg.StateDir); errors.Is(err, fs.ErrNotExist) && !warned {
		fmt.Fprintf(s.out, "state_dir %s isn't there yet; lb run makes it\n", cfg.StateDir)
	}
	switch {
	case c.Answers:
		return c.askHosts(ctx, cfg, s.out)
	case len(c.Path)+len(c.Address) > 0:
		return usageError{errors.New("--path and --address go with --answers")}
	}
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
