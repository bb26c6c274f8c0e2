package main

import "context"

type ctlRoutesCmd struct{}

// Help is the text that --help adds.
func (ctlRoutesCmd) Help() string {
	return `Lists what requests match, in the order of lb.yaml, what becomes of them, and how
many have matched each route since this process of the balancer began. Which route a request
matches, lb explain says: lb explain -c lb.yaml --host api.example.com --path /v1`
}

// Run lists the routes.
func (ctlRoutesCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Routes(ctx, c.output(s))
}
