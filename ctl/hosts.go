package ctl

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Hosts lists the hosts.
func (c *Client) Hosts(ctx context.Context, out Output) error {
	return printAt(ctx, c, "/v1/hosts", out, func(out io.Writer, list hostList) error {
		return showHosts(out, list.Hosts)
	})
}

func showHosts(out io.Writer, hosts []host) error {
	w := columns(out)
	fmt.Fprintln(w, "HOST\tSTATE\tCHECKS\tSERVES\tSHARE\tWEIGHT\tTERMINALS\tREQUESTS\tADDRESS\tORIGIN\tNOTE")
	for _, h := range hosts {
		serves := "no"
		if h.Serving {
			serves = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%d\t%s\t%s\t%s\n",
			h.Name, h.State, h.Verdict, serves, percent(h.Share), h.Weight, h.terminalsText(), h.Requests, h.Address, dash(h.Origin), dash(h.note()))
	}
	return w.Flush()
}

// terminalsText returns how many terminals h has: through this balancer, and through others.
func (h host) terminalsText() string {
	if h.AtPeers == 0 {
		return strconv.FormatInt(h.Sessions, 10)
	}
	return fmt.Sprintf("%d + %d", h.Sessions, h.AtPeers)
}

// text returns how many of the requests that a host may have it has; "" if it may have any number.
func (r hostRequests) text() string {
	switch {
	case r.MaxConnections == 0:
		return ""
	case r.Queued == 0:
		return fmt.Sprintf("%d of %d requests", r.InFlight, r.MaxConnections)
	}
	return fmt.Sprintf("%d of %d requests, %d wait", r.InFlight, r.MaxConnections, r.Queued)
}

// text returns how long the host has been steady, and how long it must be; "" if it doesn't return.
func (r hostReturn) text(now time.Time) string {
	switch {
	case r.ReturnsAt.IsZero():
		return ""
	case r.SteadySince.IsZero():
		return "returning, not steady yet"
	}
	must := r.ReturnsAt.Sub(r.SteadySince).Round(time.Second)
	return fmt.Sprintf("returning, steady for %v of %v", min(max(0, now.Sub(r.SteadySince).Round(time.Second)), must), must)
}

// note describes the state of a host in words.
func (h host) note() string {
	listed, override, weight, slow, full, votes, backup := "", "", "", "", "", "", ""
	if h.Votes.differ() {
		votes = h.Votes.Text
	}
	if l := h.ListedBy; l != nil {
		listed = join(": ", "listed by "+l.By, l.Reason)
	}
	if h.By != "" || h.Reason != "" {
		override = join(": ", join(" ", h.State, "by", h.By), h.Reason)
	}
	if o := h.WeightOverride; o != nil {
		weight = join(": ", "weight by "+o.By, o.Reason)
		if h.Announced != nil {
			weight += fmt.Sprintf(" (its own is %d)", *h.Announced)
		}
	}
	if h.SlowStart != nil {
		slow = fmt.Sprintf("in slow start: %s of its keys, all by %s", percent(h.SlowStart.Taken), instant(h.SlowStart.Until))
	}
	if h.Backup && h.Serving {
		backup = "a backup, in use because no other host serves"
	}
	if h.Full {
		full = "full"
	}
	drain := ""
	if h.Drain != nil {
		drain = h.prospect(h.terminals())
	}
	return join("; ", h.WhyNot, backup, h.Waits, h.CheckError, h.hostReturn.text(time.Now()), votes, listed, override, drain, weight, slow, full, h.hostRequests.text())
}
