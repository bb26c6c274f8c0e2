package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"tokenring/pool"
)

type (
	ctlDrainCmd struct{ decision }
	ctlMaintCmd struct{ decision }
	ctlReadyCmd struct{ decision }

	ctlWeightCmd struct {
		decision
		Weight string `arg:"" placeholder:"N|own" help:"0 to 256, in relation to the other hosts' weights; 0 takes its keys away. own: what the host itself announces."`
	}
)

// A decision is what an operator says about a host, whatever it is.
type decision struct {
	Name   string `arg:"" help:"The host's name."`
	Reason string `help:"Why, for the other operators."`
	By     string `env:"SUDO_USER,USER" help:"Who decides."`
	Yes    bool   `short:"y" help:"Do it even if it moves more of the tokens than admin.confirm_share."`
}

// Run drains the host.
func (c *ctlDrainCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	return c.decide(ctx, ctl, s, map[string]any{"state": "drain"})
}

// Run puts the host in maintenance.
func (c *ctlMaintCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	return c.decide(ctx, ctl, s, map[string]any{"state": "maint"})
}

// Run makes the host ready.
func (c *ctlReadyCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	return c.decide(ctx, ctl, s, map[string]any{"state": "ready"})
}

// Run gives the host another weight.
func (c *ctlWeightCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	if c.Weight == "own" {
		return c.decide(ctx, ctl, s, map[string]any{"weight": nil})
	}
	weight, err := strconv.Atoi(c.Weight)
	if err != nil {
		return usageError{fmt.Errorf("lb ctl weight: %q is no weight: want a number from 0 to 256, or own", c.Weight)}
	}
	return c.decide(ctx, ctl, s, map[string]any{"weight": weight})
}

// decide sends the decision what, and shows the host with it in force.
func (d *decision) decide(ctx context.Context, ctl *ctlCmd, s *streams, what map[string]any) error {
	if err := pool.CheckName(d.Name); err != nil {
		return usageError{fmt.Errorf("lb ctl: %w; lb ctl hosts lists the hosts", err)}
	}
	o, err := ctl.operator()
	if err != nil {
		return err
	}
	if d.Reason != "" {
		what["reason"] = d.Reason
	}
	if d.By != "" {
		what["by"] = d.By
	}
	if !d.Yes {
		status, err := read[ctlStatus](o.get(ctx, "/v1/status"))
		if err != nil {
			return err
		}
		if status.ConfirmShare != nil { // else a balancer that knows of no bound
			what["max_moved"] = *status.ConfirmShare
		}
	}
	answer, err := o.call(ctx, http.MethodPatch, "/v1/hosts/"+url.PathEscape(d.Name), what, longCall)
	if err != nil {
		return d.refused(err)
	}
	return show(ctl, s.out, answer, func(out io.Writer, h ctlHost) error { return showHosts(out, []ctlHost{h}) })
}

// refused says of a decision that would move too much what it would move, and how
// to go on; and of one that nobody has answered, how to find out.
func (d *decision) refused(err error) error {
	if errors.As(err, new(unanswered)) {
		return fmt.Errorf("%w\nthe decision may have been taken all the same: lb ctl hosts shows it", err)
	}
	var r *refusal
	var much ctlTooMuch
	if !errors.As(err, &r) || r.Status != http.StatusConflict || json.Unmarshal(r.body, &much) != nil || much.Moved == nil {
		return err
	}
	about := ""
	if !much.SessionsExact {
		about = "about "
	}
	return fmt.Errorf("nothing was decided: it would move %s of the tokens, and %s%d of the %d terminals open here once they reconnect; "+
		"more than %s is to be confirmed (admin.confirm_share).\nlb ctl whatif says where they would go; repeat with --yes to do it",
		percent(*much.Moved), about, much.SessionsMoved, much.Sessions, percent(much.MaxMoved))
}
