package ctl

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"tokenring/route"
)

// A HostEdit is a change of the hosts that operators have added to a balancer.
type HostEdit struct {
	Reason, By string // for the other operators
	Confirmed  bool   // do it even if it moves more of the tokens than admin.confirm_share

	method, path string
	edit         route.HostEdit
}

// HostFields are what an operator says of a host. Those that are "" or nil stay as they are.
type HostFields struct {
	Address string
	Weight  *int
	ID      *uint32
	Zone    *string
}

// AddHost returns the edit that adds a host.
func AddHost(name string, f HostFields) HostEdit {
	return HostEdit{method: http.MethodPost, path: "/v1/hosts", edit: f.edit(route.AddHost, name)}
}

// SetHost returns the edit that changes a host.
func SetHost(name string, f HostFields) HostEdit {
	return HostEdit{method: http.MethodPut, path: hostPath(name), edit: f.edit(route.SetHost, name)}
}

// RemoveHost returns the edit that removes a host.
func RemoveHost(name string) HostEdit {
	return HostEdit{method: http.MethodDelete, path: hostPath(name), edit: HostFields{}.edit(route.RemoveHost, name)}
}

func hostPath(name string) string { return "/v1/hosts/" + url.PathEscape(name) }

func (f HostFields) edit(action route.HostAction, name string) route.HostEdit {
	return route.HostEdit{Action: action, Name: name, Address: f.Address, Weight: f.Weight, ID: f.ID, Zone: f.Zone}
}

// Check returns an error if e is wrong, as far as it can be checked without a balancer.
func (e HostEdit) Check() error {
	e.edit.Reason, e.edit.By = e.Reason, e.By
	if err := e.edit.Check(); err != nil {
		return fmt.Errorf("lb ctl hosts %s: %w", e.edit.Action, err)
	}
	return nil
}

// EditHosts sends e, and writes the host with e in force.
func (c *Client) EditHosts(ctx context.Context, e HostEdit, out Output) error {
	fields, err := c.fieldsOf(ctx, e)
	if err != nil {
		return err
	}
	path, body := e.path, any(fields)
	if e.method == http.MethodDelete { // RFC 9110 §9.3.5: what a body means there isn't defined
		query := url.Values{}
		for name, value := range fields {
			query.Set(name, fmt.Sprint(value))
		}
		path, body = path+"?"+query.Encode(), nil
	}
	answer, err := c.call(ctx, e.method, path, body, longCall)
	if err != nil {
		return refused(err, "change")
	}
	return show(out, answer, func(out io.Writer, h host) error { return showHosts(out, []host{h}) })
}

// fieldsOf returns e as the API takes it.
func (c *Client) fieldsOf(ctx context.Context, e HostEdit) (map[string]any, error) {
	change := Change{}
	if e.edit.Action == route.AddHost {
		change["name"] = e.edit.Name
	}
	if e.edit.Address != "" {
		change["address"] = e.edit.Address
	}
	if e.edit.Weight != nil {
		change["weight"] = *e.edit.Weight
	}
	if e.edit.ID != nil {
		change["id"] = *e.edit.ID
	}
	if e.edit.Zone != nil {
		change["zone"] = *e.edit.Zone
	}
	return c.bodyOf(ctx, Override{Host: e.edit.Name, Change: change, Reason: e.Reason, By: e.By, Confirmed: e.Confirmed})
}
