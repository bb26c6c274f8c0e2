package main

import (
	"context"
	"time"

	"tokenring/ctl"
)

// ctlDrainCmd drains hosts.
type ctlDrainCmd struct {
	Names    []string       `arg:"" optional:"" placeholder:"NAME" help:"The hosts' names."`
	Zone     string         `placeholder:"ZONE" help:"All ready hosts of this zone, instead of names."`
	Deadline *time.Duration `placeholder:"TIME" help:"Close the terminals that are open after so long: 2h, for example. Default: they stay until they end."`
	Rate     int            `placeholder:"N" help:"How many terminals all balancers together close in a second then (default: 20)."`
	Wait     bool           `help:"Wait until no terminal is left, and show how it goes on."`
	OneByOne bool           `help:"Drain the next host when the one before is empty; waits."`
	Reason   string         `help:"Why, for the other operators."`
	By       string         `env:"SUDO_USER,USER" help:"Your name, for the other operators."`
	Yes      bool           `short:"y" help:"Do it even if it moves more of the tokens than admin.confirm_share, or if too little would serve."`
}

// Help is the text that --help adds.
func (ctlDrainCmd) Help() string {
	return `The host gets no new tokens at once. A token with a terminal stays there until its
terminals have ended, and then its requests go elsewhere. With --deadline, terminals
that are open then are closed, a few in a second and those first that were idle the
longest; their users connect again, elsewhere.

lb ctl ready ends a drain at any time. Interrupting --wait doesn't. For example:

  lb ctl drain ide-2 --deadline 2h --rate 20 --wait --reason "new kernel"
  lb ctl drain --zone b --one-by-one --deadline 30m`
}

// Run drains the hosts.
func (d *ctlDrainCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	drain := ctl.Drain{
		Hosts: d.Names, Zone: d.Zone, Deadline: d.Deadline, Rate: d.Rate, Wait: d.Wait, OneByOne: d.OneByOne,
		Reason: d.Reason, By: d.By, Confirmed: d.Yes,
	}
	if err := drain.Check(); err != nil {
		return usageError{err}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Drain(ctx, drain, c.output(s))
}
