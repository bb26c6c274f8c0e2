package ctl

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

type zone struct {
	Name, Zone string
	Serial     uint32
	Services   []zoneService
	Regions    []zoneRegion
}

type zoneService struct {
	Name    string
	Regions []string
}

type zoneRegion struct {
	Name, Mode       string
	Serves, Changing bool
	Addresses        []zoneAddress
}

type zoneAddress struct {
	Address, Mode, Error string
	Up                   bool
	Since                time.Time
}

func (z zone) sound() bool { return z.Zone != "" && z.Regions != nil }

// Zone writes the state of a server of names.
func (c *Client) Zone(ctx context.Context, out Output) error {
	return printAt(ctx, c, "/v1/dns", out, func(out io.Writer, z zone) error {
		w := columns(out)
		fmt.Fprintf(w, "zone\t%s\nserver\t%s\nserial\t%d\n\n", z.Zone, z.Name, z.Serial)
		fmt.Fprintln(w, "SERVICE\tREGIONS")
		for _, s := range z.Services {
			fmt.Fprintf(w, "%s\t%s\n", s.Name, strings.Join(s.Regions, ", "))
		}
		fmt.Fprintln(w, "\nREGION\tMODE\tSERVES\tADDRESS\tMODE\tPROBES\tSINCE\tERROR")
		for _, r := range z.Regions {
			name, mode, serves := r.Name, r.Mode, r.serves()
			for _, a := range r.Addresses {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, mode, serves, a.Address, a.Mode, a.probes(), a.since(), a.Error)
				name, mode, serves = "", "", ""
			}
		}
		return w.Flush()
	})
}

func (r zoneRegion) serves() string {
	switch {
	case r.Serves && r.Changing:
		return "yes, short TTL"
	case r.Serves:
		return "yes"
	}
	return "no"
}

func (a zoneAddress) probes() string {
	switch {
	case a.Since.IsZero():
		return "none yet"
	case a.Up:
		return "up"
	}
	return "down"
}

func (a zoneAddress) since() string {
	if a.Since.IsZero() {
		return "-"
	}
	return instant(a.Since)
}

type nameExplanation struct {
	Name, Network, Region, Reason, For string
	Prefers, Addresses                 []string
	TTL                                int `json:"ttl_seconds"`
}

func (x nameExplanation) sound() bool { return x.Region != "" }

// reasons say why a region is answered; %s is the one in whose place it is.
var reasons = map[string]string{
	"first":    "the network's first region",
	"next":     "the regions before it don't serve, %s first",
	"failover": "%s doesn't serve, and this is its failover",
	"other":    "no region of the network serves, nor a failover; %s would be the first",
	"fallback": "no region serves: answered as if %s did, for a short time",
}

// ExplainName writes which region a name leads an address to, and why.
func (c *Client) ExplainName(ctx context.Context, name, from string, out Output) error {
	path := "/v1/dns/explain?" + url.Values{"name": {name}, "from": {from}}.Encode()
	return printAt(ctx, c, path, out, func(out io.Writer, x nameExplanation) error {
		prefers := strings.Join(x.Prefers, ", ")
		if prefers == "" {
			prefers = "those of the service, in its order"
		}
		why := strings.ReplaceAll(reasons[x.Reason], "%s", x.For)
		w := columns(out)
		fmt.Fprintf(w, "name\t%s\nnetwork\t%s\nits regions\t%s\nregion\t%s\nwhy\t%s\nanswer\t%s\nTTL\t%d s\n",
			x.Name, x.Network, prefers, x.Region, why, strings.Join(x.Addresses, ", "), x.TTL)
		return w.Flush()
	})
}
