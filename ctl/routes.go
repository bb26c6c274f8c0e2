package ctl

import (
	"context"
	"fmt"
	"io"
)

type routes struct {
	Routes    []routeStatus
	Unmatched routeStatus
}

type routeStatus struct {
	Name, Matches, Does string
	Requests            uint64
}

func (r routes) sound() bool { return r.Routes != nil && r.Unmatched.Does != "" }

// Routes writes the routes, and how often each has matched.
func (c *Client) Routes(ctx context.Context, out Output) error {
	return printAt(ctx, c, "/v1/routes", out, func(out io.Writer, all routes) error {
		if len(all.Routes) == 0 {
			_, err := fmt.Fprintln(out, "there are no routes: all requests go to the hosts of pool")
			return err
		}
		w := columns(out)
		fmt.Fprintln(w, "ROUTE\tMATCHES\tDOES\tREQUESTS")
		for _, r := range all.Routes {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", r.Name, r.Matches, r.Does, r.Requests)
		}
		fmt.Fprintf(w, "-\twhat no route matches\t%s\t%d\n", all.Unmatched.Does, all.Unmatched.Requests)
		return w.Flush()
	})
}
