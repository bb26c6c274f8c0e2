package main

import (
	"context"

	"tokenring/ctl"
)

// ctlHostsCmd lists the hosts, and changes those that operators have added.
type ctlHostsCmd struct {
	List   ctlHostsListCmd   `cmd:"" default:"1" help:"List the hosts: what lb ctl hosts does alone."`
	Add    ctlHostsAddCmd    `cmd:"" help:"Add a host to this balancer, without a restart."`
	Set    ctlHostsSetCmd    `cmd:"" help:"Change a host that an operator has added. What you leave out stays as it is."`
	Remove ctlHostsRemoveCmd `cmd:"" help:"Remove a host that an operator has added."`
}

// Help is the text that --help adds.
func (ctlHostsCmd) Help() string {
	return `Hosts that operators add are kept in state_dir, and belong to one balancer: give the
command on each, or they place users by different rings. They have the origin
operator. A host that comes from pool.hosts, pool.hosts_file or gossip can't be changed
here: lb ctl maint takes it out, and lb ctl weight gives it another weight.`
}

type (
	ctlHostsListCmd struct{}

	ctlHostsAddCmd struct {
		Name    string `arg:"" help:"The host's name."`
		Address string `arg:"" help:"Its service, host:port. A DNS name must be the name of one machine."`
		hostFlags
	}

	ctlHostsSetCmd struct {
		Name    string `arg:"" help:"The host's name."`
		Address string `arg:"" optional:"" help:"Its service, host:port. Another address is another machine: terminals on the one before end."`
		hostFlags
	}

	ctlHostsRemoveCmd struct {
		Name string `arg:"" help:"The host's name."`
		editFlags
	}
)

// hostFlags are the flags of the commands that say how a host is.
type hostFlags struct {
	Weight *int    `placeholder:"N" help:"0 to 256, in relation to the other hosts' weights; with 0 the host has no keys. A new host has 1."`
	ID     *uint32 `name:"id" placeholder:"N" help:"The number by which the policy haproxy places it."`
	Zone   *string `placeholder:"ZONE" help:"For operators."`
	editFlags
}

// editFlags are the flags of all commands that change hosts.
type editFlags struct {
	Reason string `help:"Why, for the other operators."`
	By     string `env:"SUDO_USER,USER" help:"Your name, for the other operators."`
	Yes    bool   `short:"y" help:"Do it even if it moves more of the tokens than admin.confirm_share."`
}

// Help is the text that --help adds.
func (ctlHostsRemoveCmd) Help() string {
	return `The host leaves: its keys go to other hosts at once, and tokens with terminals stay with
it until these end. To end them, put it in maintenance (lb ctl maint).`
}

// Run lists the hosts.
func (ctlHostsListCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Hosts(ctx, c.output(s))
}

// Run adds the host.
func (a *ctlHostsAddCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	return a.edit(ctx, c, s, ctl.AddHost(a.Name, a.fields(a.Address)))
}

// Run changes the host.
func (x *ctlHostsSetCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	return x.edit(ctx, c, s, ctl.SetHost(x.Name, x.fields(x.Address)))
}

// Run removes the host.
func (r *ctlHostsRemoveCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	return r.edit(ctx, c, s, ctl.RemoveHost(r.Name))
}

func (f *hostFlags) fields(address string) ctl.HostFields {
	return ctl.HostFields{Address: address, Weight: f.Weight, ID: f.ID, Zone: f.Zone}
}

// edit sends the change, and shows the host with it in force.
func (f *editFlags) edit(ctx context.Context, c *ctlCmd, s *streams, e ctl.HostEdit) error {
	e.Reason, e.By, e.Confirmed = f.Reason, f.By, f.Yes
	if err := e.Check(); err != nil {
		return usageError{err}
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.EditHosts(ctx, e, c.output(s))
}
