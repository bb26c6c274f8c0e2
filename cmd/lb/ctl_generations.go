package main

import (
	"context"
	"path/filepath"

	"tokenring/ctl"
)

type (
	ctlReloadCmd struct {
		Yes bool `help:"Do it even if it moves more of the tokens than admin.confirm_share."`
	}
	ctlUpgradeCmd struct {
		Binary string `arg:"" optional:"" help:"The new program, on the balancer's machine; default: the file from which lb run was started."`
		Yes    bool   `help:"Do it even if it moves more of the tokens than admin.confirm_share."`
	}
	ctlGenerationsCmd struct{}
)

// Help is the text that --help adds.
func (ctlReloadCmd) Help() string {
	return `Reads the configuration again, and has a new generation of the balancer serve with it.
Terminals that are open stay in the generations that they are in, and none is cut. If
the configuration has a mistake, or the new generation can't serve, nothing changes.
Waits until it is done.`
}

// Help is the text that --help adds.
func (ctlUpgradeCmd) Help() string {
	return `Has a new generation of another program serve, with the configuration as it is now.
The program first says its version and checks the configuration. Terminals that are
open stay in the generations that they are in, and none is cut. If the new generation
crashes within five seconds, the program before is put back. Waits until it serves.`
}

// Run has the configuration take effect.
func (r *ctlReloadCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	return c.replace(ctx, ctl.Replacement{Yes: r.Yes}, s)
}

// Run has the program take effect.
func (u *ctlUpgradeCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	binary := u.Binary
	if binary != "" {
		var err error
		if binary, err = filepath.Abs(binary); err != nil {
			return usageError{err}
		}
	}
	return c.replace(ctx, ctl.Replacement{Upgrade: true, Binary: binary, Yes: u.Yes}, s)
}

func (c *ctlCmd) replace(ctx context.Context, change ctl.Replacement, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Replace(ctx, change, c.output(s))
}

// Run lists the generations.
func (ctlGenerationsCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Generations(ctx, c.output(s))
}
