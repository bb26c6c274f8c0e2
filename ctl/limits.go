package ctl

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

type limits struct {
	PerSource *quota `json:"per_source"`
	PerKey    *quota `json:"per_key"`
	MostKnown int    `json:"most_known"`
	Top       []offender
}

type quota struct {
	Connections, Terminals, Known int
	NewConnections                string `json:"new_connections"`
	Requests, Burst               string
}

type offender struct {
	Source, Key, Limit string
	Refused            uint32
	Last               time.Time
}

func (l limits) sound() bool { return l.Top != nil }

// Limits writes what one source and one key may use, and who has met that lately.
func (c *Client) Limits(ctx context.Context, out Output) error {
	return printAt(ctx, c, "/v1/limits", out, showLimits)
}

func showLimits(out io.Writer, all limits) error {
	if all.PerSource == nil && all.PerKey == nil {
		_, err := fmt.Fprintln(out, "there are no limits per source or key")
		return err
	}
	w := columns(out)
	fmt.Fprintln(w, "LIMITS\tMAY USE\tKNOWN")
	for _, of := range []struct {
		name string
		*quota
	}{{"per_source", all.PerSource}, {"per_key", all.PerKey}} {
		if of.quota != nil {
			fmt.Fprintf(w, "%s\t%s\t%d of up to %d\n", of.name, of.quota, of.Known, all.MostKnown)
		}
	}
	fmt.Fprintln(w)
	if len(all.Top) == 0 {
		fmt.Fprintln(w, "nobody has met a limit in the last ten minutes")
		return w.Flush()
	}
	fmt.Fprintln(w, "WHO\tLIMIT\tREFUSED\tLAST")
	for _, o := range all.Top {
		who := o.Source
		if o.Key != "" {
			who = "key " + o.Key
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", who, o.Limit, o.Refused, instant(o.Last))
	}
	return w.Flush()
}

// String returns what may be used, as lb.yaml says it.
func (q *quota) String() string {
	var all []string
	for _, one := range []struct{ key, value string }{
		{"connections", number(q.Connections)}, {"new_connections", q.NewConnections}, {"requests", q.Requests}, {"terminals", number(q.Terminals)}, {"burst", q.Burst},
	} {
		if one.value != "" {
			all = append(all, one.key+": "+one.value)
		}
	}
	return strings.Join(all, ", ")
}

// number returns n, "" for 0.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
