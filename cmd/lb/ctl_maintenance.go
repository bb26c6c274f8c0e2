package main

import (
	"context"
	"errors"

	"tokenring/ctl"
)

type ctlMaintenanceCmd struct {
	What   string `arg:"" optional:"" enum:"show,on,off" default:"show" help:"on or off; without it, show what is in maintenance."`
	Route  string `placeholder:"NAME" help:"Only requests of this route of lb.yaml; default: all requests."`
	Reason string `help:"Why, for the other operators."`
	By     string `env:"SUDO_USER,USER" help:"Your name, for the other operators."`
}

// Help is the text that --help adds.
func (ctlMaintenanceCmd) Help() string {
	return `New requests get 503 with the maintenance page; terminals that are open stay. It is in
force on all balancers that are connected when the command ends, on the others once they
are, and survives reloads and restarts. To put one host into maintenance, use lb ctl maint.
For example:

  lb ctl maintenance on --reason "new disks"
  lb ctl maintenance on --route api
  lb ctl maintenance off --route api`
}

// Run shows, begins or ends maintenance.
func (m *ctlMaintenanceCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	if m.What == "show" && (m.Route != "" || m.Reason != "") {
		return usageError{errors.New("lb ctl maintenance: say on or off")}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if m.What == "show" {
		return client.Maintenance(ctx, c.output(s))
	}
	return client.SetMaintenance(ctx, ctl.Maintenance{On: m.What == "on", Route: m.Route, Reason: m.Reason, By: m.By}, c.output(s))
}
