package main

import (
	"fmt"

	"tokenring/config"
)

type checkCmd struct {
	Config string `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
}

// Help is the text that --help adds.
func (checkCmd) Help() string {
	return `Reads the file as "lb run" would, with the certificates and secrets that it
names, and starts nothing. Every mistake is shown with its line. Exits with 0
if the file is right, and with 2 if it isn't.`
}

// Run checks the file.
func (c *checkCmd) Run(s *streams) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return usageError{err}
	}
	fmt.Fprintf(s.out, "%s: ok: balancer %s, %d listener(s), %d host(s) listed, gossip %s, policy %s\n",
		c.Config, cfg.Name, len(cfg.Listen), len(cfg.Pool.Hosts), onOff(cfg.Pool.Bind != ""), cfg.Hash.Policy)
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
