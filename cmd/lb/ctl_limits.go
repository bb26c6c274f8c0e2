package main

import "context"

type ctlLimitsCmd struct{}

// Help is the text that --help adds.
func (ctlLimitsCmd) Help() string {
	return `Shows limits.per_source and limits.per_key of lb.yaml, and who has met them in the last ten
minutes: the networks of sources, and the digests of keys, as the access log has them. It is
what this process of the balancer has counted. Rows with the most refusals are first. To keep
a network out, use access.deny in lb.yaml.`
}

// Run shows the limits.
func (ctlLimitsCmd) Run(ctx context.Context, c *ctlCmd, s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return client.Limits(ctx, c.output(s))
}
