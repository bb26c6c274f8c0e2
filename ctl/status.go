package ctl

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Status writes the state of the balancer and its region.
func (c *Client) Status(ctx context.Context, out Output) error {
	return printAt(ctx, c, "/v1/status", out, showStatus)
}

func showStatus(out io.Writer, st status) error {
	w := columns(out)
	ready := "takes traffic"
	if !st.Ready {
		ready = "takes no traffic: " + st.NotReady
	}
	h := st.Hosts
	fmt.Fprintf(w, "balancer\t%s %s, up %s, %s\n", st.Name, st.Version, time.Duration(st.UptimeSeconds)*time.Second, ready)
	fmt.Fprintf(w, "hosts\t%d: %d ready, %d drain, %d maint; checks: %d up, %d down; %d serve\n", h.Total, h.Ready, h.Drain, h.Maint, h.Up, h.Down, h.Serving)
	elsewhere := ""
	if st.AtPeers > 0 {
		elsewhere = fmt.Sprintf(", %d through other balancers", st.AtPeers)
	}
	fmt.Fprintf(w, "terminals\t%d open here%s, %d requests in progress\n", st.Sessions, elsewhere, st.InFlight)
	st.write(w)
	st.Waiting.write(w)
	for _, c := range st.Certificates {
		until := "none yet"
		if !c.NotAfter.IsZero() {
			until = "until " + instant(c.NotAfter)
		}
		if len(c.Names) == 0 { // a file that can't be used
			fmt.Fprintf(w, "certificate\t%s: %s\n", c.File, c.Problem)
			continue
		}
		fmt.Fprintf(w, "certificate\t%s\n", join("; ", strings.Join(c.Names, " ")+": "+until, c.Problem))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return showPeers(out, st.Peers)
}
