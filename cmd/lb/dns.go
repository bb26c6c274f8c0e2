package main

import (
	"context"
	"errors"
	"fmt"

	"tokenring/config"
	"tokenring/edge"
)

// dnsCmd runs a server of names.
type dnsCmd struct {
	Config string `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
}

// Help is the text that --help adds.
func (dnsCmd) Help() string {
	return `Answers for the zone in the section gslb of the file: each network is led to a
region whose balancers serve. It probes the regions first, and answers once each
address has been probed. Runs until SIGTERM or SIGINT.

"lb ctl dns" shows what it has found, and "lb ctl dns explain" why a network gets its
answer. Check a file first with "lb check -c FILE".`
}

// Run serves until ctx ends.
func (c *dnsCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return usageError{err}
	}
	if cfg.GSLB == nil {
		return usageError{fmt.Errorf("%s has no section gslb: it is for a balancer, which \"lb run -c %s\" runs", c.Config, c.Config)}
	}
	logs, err := edge.OpenLogs(cfg.Log, s.out, s.err)
	if err != nil {
		return err
	}
	defer logs.Close()
	log := edge.NewLogger(cfg.Log, logs.Events)
	ctx, done := untilStopped(ctx, log)
	defer done()
	defer reopenLogs(logs, log)()
	edge.LogStart(log, version(), c.Config, cfg)
	names, err := edge.NewNames(ctx, cfg, version(), log)
	if err != nil {
		return err
	}
	return names.Run(ctx)
}

// errForDNS says that a file isn't a balancer's.
var errForDNS = errors.New("the file has the section gslb: it is for a server of names, which \"lb dns\" runs")
