package main

import (
	"context"

	"tokenring/ctl"
)

type ctlRekeyCmd struct {
	Name   string `arg:"" help:"The host's name."`
	Key    string `placeholder:"KEY" help:"Its key, as its agent logs it; default: the one other key with which it was announced in the last minutes."`
	Forget bool   `help:"Forget its key: the next one with which it is announced is its key."`
	Reason string `help:"Why, for the other operators."`
	By     string `env:"SUDO_USER,USER" help:"Your name, for the other operators."`
}

// Help is the text that --help adds.
func (ctlRekeyCmd) Help() string {
	return `Each host signs what it announces, and balancers refuse another key for its name.
If a host has lost its key, because its state directory is gone, say with this
command that its new key is right: an alarm names the host, the key's short name and
the address that it came from. Compare the key with the one that the host's agent
logs when it starts. If the host has its key still, another machine has taken its
name: look at that machine instead.

--forget is for a host that doesn't sign any more. Until it signs again, whoever has the
pool's secret can announce in its name.`
}

// Run has the balancers take the key.
func (r *ctlRekeyCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	rekey := ctl.Rekey{Host: r.Name, Key: r.Key, Forget: r.Forget, Reason: r.Reason, By: r.By}
	if err := rekey.Check(); err != nil {
		return usageError{err}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Rekey(ctx, rekey, c.output(s))
}
