package main

import "context"

// ctlDNSCmd is how operators watch a server of names.
type ctlDNSCmd struct {
	Status  ctlDNSStatusCmd  `cmd:"" default:"1" help:"Show the zone, its services and its regions."`
	Explain ctlDNSExplainCmd `cmd:"" help:"Say which region a network is led to, and why."`
}

type ctlDNSStatusCmd struct{}

// Run shows the state of the zone.
func (ctlDNSStatusCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Zone(ctx, c.output(s))
}

type ctlDNSExplainCmd struct {
	Name string `arg:"" help:"The name that is asked for, with or without the zone's; @ is the zone itself."`
	From string `required:"" placeholder:"ADDRESS" help:"An address of the network: the user's, if the resolver says it, or the resolver's."`
}

// Run explains an answer.
func (e ctlDNSExplainCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.ExplainName(ctx, e.Name, e.From, c.output(s))
}
