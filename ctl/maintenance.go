package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A Maintenance begins or ends maintenance.
type Maintenance struct {
	On         bool
	Route      string // "" for all requests
	Reason, By string // for the other operators
}

type inMaintenance struct {
	Route, Reason, By string
	At                time.Time
}

type maintenanceList struct{ Maintenance *[]inMaintenance }

func (m maintenanceList) sound() bool { return m.Maintenance != nil }

type maintenanceSet struct {
	maintenanceList
	By      []string
	Missing []missing
}

// Maintenance writes what is in maintenance.
func (c *Client) Maintenance(ctx context.Context, out Output) error {
	return printAt(ctx, c, "/v1/maintenance", out, showMaintenance)
}

// SetMaintenance begins or ends maintenance, and writes what is in maintenance from then on.
func (c *Client) SetMaintenance(ctx context.Context, m Maintenance, out Output) error {
	body := given(map[string]string{"route": m.Route, "reason": m.Reason, "by": m.By})
	body["on"] = m.On
	answer, err := c.call(ctx, http.MethodPut, "/v1/maintenance", body, longCall)
	if errors.As(err, new(unanswered)) {
		return uncertain(err, "maintenance", "lb ctl maintenance")
	}
	if err != nil {
		return err
	}
	return show(out, answer, func(out io.Writer, set maintenanceSet) error {
		fmt.Fprintf(out, "in force on %s\n", strings.Join(set.By, ", "))
		for _, m := range set.Missing {
			fmt.Fprintf(out, "not yet on %s: %s\n", m.Balancer, m.Why)
		}
		return showMaintenance(out, set.maintenanceList)
	})
}

func showMaintenance(out io.Writer, list maintenanceList) error {
	if len(*list.Maintenance) == 0 {
		_, err := fmt.Fprintln(out, "nothing is in maintenance")
		return err
	}
	w := columns(out)
	fmt.Fprintln(w, "ROUTE\tSINCE\tBY\tREASON")
	for _, m := range *list.Maintenance {
		route := m.Route
		if route == "" {
			route = "(all requests)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", route, instant(m.At), m.By, m.Reason)
	}
	return w.Flush()
}
