package main

import (
	"context"

	"tokenring/ctl"
)

type (
	ctlMaintCmd struct{ overrideFlags }
	ctlReadyCmd struct{ overrideFlags }

	ctlWeightCmd struct {
		overrideFlags
		Weight string `arg:"" placeholder:"N|own" help:"0 to 256, in relation to the other hosts' weights; with 0 the host has no keys. own: the weight that the host itself announces."`
	}
)

// overrideFlags are the flags of all commands that override a host's state or weight.
type overrideFlags struct {
	Name   string `arg:"" help:"The host's name."`
	Reason string `help:"Why, for the other operators."`
	By     string `env:"SUDO_USER,USER" help:"Your name, for the other operators."`
	Yes    bool   `short:"y" help:"Do it even if it moves more of the tokens than admin.confirm_share."`
}

// Run puts the host in maintenance.
func (m *ctlMaintCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	return m.override(ctx, c, s, ctl.State("maint"))
}

// Run makes the host ready.
func (r *ctlReadyCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	return r.override(ctx, c, s, ctl.State("ready"))
}

// Run gives the host another weight.
func (w *ctlWeightCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	change, err := ctl.ParseWeight(w.Weight)
	if err != nil {
		return usageError{err}
	}
	return w.override(ctx, c, s, change)
}

// override sends the change, and shows the host with it in force.
func (f *overrideFlags) override(ctx context.Context, c *ctlCmd, s *streams, change ctl.Change) error {
	o := ctl.Override{Host: f.Name, Change: change, Reason: f.Reason, By: f.By, Confirmed: f.Yes}
	if err := o.Check(); err != nil {
		return usageError{err}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Override(ctx, o, c.output(s))
}
