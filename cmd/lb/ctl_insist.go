package main

import (
	"context"

	"tokenring/ctl"
)

// ctlInsistCmd goes on without balancers that are missing.
type ctlInsistCmd struct {
	Peers  []string `arg:"" optional:"" placeholder:"PEER" help:"The balancers to go on without; without any, all that are missing."`
	Reason string   `help:"Why, for the log."`
	By     string   `env:"SUDO_USER,USER" help:"Your name, for the log."`
	Yes    bool     `short:"y" help:"Do it: without, lb says only what would change."`
}

// Help is the text that --help adds.
func (ctlInsistCmd) Help() string {
	return `While a balancer is missing, hosts that join or return, other weights, drains and steps
of slow starts wait until it is back, or for peers.agree_within of lb.yaml: it may
serve users still, and would send them elsewhere. lb ctl status says what waits for
whom. If you know that the balancer serves nobody, this command has the changes made
now, on all balancers that are connected. It holds until the balancer is back. For
example:

  lb ctl insist lb-2 --reason "its machine is off" --yes`
}

// Run goes on without the balancers.
func (i *ctlInsistCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Insist(ctx, ctl.Insistence{Peers: i.Peers, Reason: i.Reason, By: i.By, Confirmed: i.Yes}, c.output(s))
}
