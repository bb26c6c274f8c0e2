package main

import (
	"context"
	"fmt"
	"time"

	"tokenring/ctl"
)

type healthcheckCmd struct {
	Config  string        `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The balancer's configuration file, which says where its admin endpoint is (default: lb.yaml)."`
	URL     string        `name:"url" placeholder:"URL" help:"Ask this URL instead, such as http://127.0.0.1:7000/healthz."`
	Ready   bool          `help:"Ask whether the balancer takes traffic, not just whether it answers."`
	Timeout time.Duration `default:"5s" help:"How long the answer may take."`
}

// Help is the text that --help adds.
func (healthcheckCmd) Help() string {
	return `For the health check of a container, and for scripts on the balancer's machine. It
needs no token. It asks /healthz of the admin endpoint, or /readyz with --ready. A
balancer that isn't ready, because no host passes its checks for example, still carries
terminals: don't have it started again for that.

Exits with 0 if the balancer is healthy, and otherwise with 1 and the reason on standard
error.`
}

// Run asks the balancer. Every error exits with exitFailed, because Docker reserves
// exitUsage in the health check of a container.
func (h *healthcheckCmd) Run(ctx context.Context) error {
	check := ctl.HealthCheck{Config: h.Config, URL: h.URL, Ready: h.Ready, Timeout: h.Timeout}
	if err := check.Run(ctx); err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	return nil
}
