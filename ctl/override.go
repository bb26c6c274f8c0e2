package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"tokenring/route"
)

// An Override is what an operator orders for a host. It replaces what the host itself
// announces.
type Override struct {
	Host       string
	Change     Change
	Reason, By string // for the other operators
	Confirmed  bool   // send it even if it moves more of the tokens than admin.confirm_share
}

// A Change is a host's new state or weight, in the words of the API.
type Change map[string]any

// State returns the change to a state: ready, drain or maint.
func State(s string) Change { return Change{"state": s} }

// ParseWeight returns the change to a weight. The text is a number, or "own" for the
// weight that the host itself announces.
func ParseWeight(text string) (Change, error) {
	if text == "own" {
		return Change{"weight": nil}, nil
	}
	weight, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("lb ctl weight: %q is no weight: want a number from 0 to 256, or own", text)
	}
	return Change{"weight": weight}, nil
}

// Check returns an error if o is wrong, as far as it can be checked without a balancer.
func (o Override) Check() error { return checkHost(o.Host) }

// checkHost returns an error if no host can have a name.
func checkHost(name string) error {
	if err := route.CheckHostName(name); err != nil {
		return fmt.Errorf("lb ctl: %w; lb ctl hosts lists the hosts", err)
	}
	return nil
}

// Override sends o, and writes the host with o in force.
func (c *Client) Override(ctx context.Context, o Override, out Output) error {
	body, err := c.bodyOf(ctx, o)
	if err != nil {
		return err
	}
	answer, err := c.call(ctx, http.MethodPatch, "/v1/hosts/"+url.PathEscape(o.Host), body, longCall)
	if err != nil {
		return refused(err, "override")
	}
	return show(out, answer, func(out io.Writer, h host) error { return showHosts(out, []host{h}) })
}

// bodyOf returns o as the API takes it. Unless o is confirmed, the body has the
// balancer's limit of what may move.
func (c *Client) bodyOf(ctx context.Context, o Override) (map[string]any, error) {
	body := maps.Clone(map[string]any(o.Change))
	maps.Copy(body, given(map[string]string{"reason": o.Reason, "by": o.By}))
	if o.Confirmed {
		return body, nil
	}
	s, err := read[status](c.get(ctx, "/v1/status"))
	if err != nil {
		return nil, err
	}
	if s.ConfirmShare != nil { // a balancer of an earlier version has no limit
		body["max_moved"] = *s.ConfirmShare
	}
	return body, nil
}

// uncertain adds to an error without an answer that what was asked for may be in force, and
// which command shows it.
func uncertain(err error, what, command string) error {
	return fmt.Errorf("%w\nthe %s may be in force nevertheless: %s shows it", err, what, command)
}

// refused adds to the error of an override, or of what is asked for otherwise, what the
// operator can do. If the override would
// move too many tokens, it says how many and how to confirm. If there is no answer, it
// says how to see whether the override is in force.
func refused(err error, what string) error {
	if errors.As(err, new(unanswered)) {
		return uncertain(err, what, "lb ctl hosts")
	}
	var r *refusal
	var much tooMuch
	if !errors.As(err, &r) || r.Status != http.StatusConflict || json.Unmarshal(r.body, &much) != nil || much.Moved == nil {
		return err
	}
	about := ""
	if !much.SessionsExact {
		about = "about "
	}
	return fmt.Errorf("nothing was changed: this would move %s of the tokens, and %s%d of the %d terminals that are open here when they reconnect; "+
		"to move more than %s, confirm it (admin.confirm_share).\nlb ctl whatif says where they would go; to confirm, repeat the command with --yes",
		percent(*much.Moved), about, much.SessionsMoved, much.Sessions, percent(much.MaxMoved))
}
