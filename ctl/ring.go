package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Ring writes the shares of the ring of a pool, and whether all balancers have the same ring. "" is the
// main pool.
func (c *Client) Ring(ctx context.Context, pool string, out Output) error {
	if pool == "" {
		return printAt(ctx, c, "/v1/ring", out, showRing)
	}
	answer, err := c.get(ctx, "/v1/ring?pool="+url.QueryEscape(pool))
	if err != nil {
		return err
	}
	if r, err := read[ring](answer, nil); err == nil && r.Pool != pool {
		return errors.New("this balancer has a version that shows the ring of the main pool only")
	}
	return show(out, answer, showRing)
}

func showRing(out io.Writer, r ring) error {
	w := columns(out)
	if r.Pool != "" {
		fmt.Fprintf(w, "pool\t%s\n", r.Pool)
	}
	fmt.Fprintf(w, "policy\t%s\n", r.policy())
	if len(r.Key) > 0 {
		fmt.Fprintf(w, "key\t%s\n", strings.Join(r.Key, ", then "))
	}
	r.write(w)
	fmt.Fprintf(w, "slots\t%d\n", r.Slots)
	if !r.BuiltAt.IsZero() {
		fmt.Fprintf(w, "built\t%s, as number %d since the balancer started\n", instant(r.BuiltAt), r.Version)
	}
	if r.Rebuilding {
		fmt.Fprintf(w, "next\tis being built\n")
	}
	if r.SlowStart > 0 {
		fmt.Fprintf(w, "slow start\t%v\n", time.Duration(r.SlowStart*float64(time.Second)))
	}
	if r.Bounded > 0 {
		fmt.Fprintf(w, "bounded load\t%v\n", r.Bounded)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(r.Shares) > 0 {
		fmt.Fprintln(w, "\nHOST\tWEIGHT\tSHARE\tFAIR\tRATIO")
	}
	for _, h := range r.Shares {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.2f\n", h.Host, h.Weight, percent(h.Share), percent(h.Fair), h.Ratio)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return showPeers(out, r.Peers)
}

// policy returns the policy with its parameters.
func (r ring) policy() string {
	if len(r.Parameters) == 0 {
		return r.Policy
	}
	var parameters []string
	for _, name := range slices.Sorted(maps.Keys(r.Parameters)) {
		parameters = append(parameters, fmt.Sprintf("%s %v", name, r.Parameters[name]))
	}
	return fmt.Sprintf("%s (%s)", r.Policy, strings.Join(parameters, ", "))
}

// write writes the lines about the ring that status and ring share.
func (a agreement) write(w io.Writer) {
	agree := "all balancers that are alive have it"
	switch {
	case len(a.Peers) == 0:
		agree = "no other balancers are known"
	case !a.Agree:
		agree = "not all balancers have it" + since(a.DisagreeSince)
	}
	fmt.Fprintf(w, "ring\t%s, %s\n", dash(cmp.Or(a.RingDigest, a.Digest)), agree)
	if a.Frozen {
		until := ""
		if !a.FrozenUntil.IsZero() {
			until = ", until " + instant(a.FrozenUntil) + " at the latest"
		}
		fmt.Fprintf(w, "frozen\tyes%s%s\n", since(a.FrozenSince), until)
	}
	alarms := a.Alarms
	if len(alarms) == 0 && a.Alarm != "" {
		alarms = []string{a.Alarm}
	}
	for _, alarm := range alarms {
		fmt.Fprintf(w, "ALARM\t%s\n", alarm)
	}
}

// sessions says whether both balancers know each other's sessions.
func (p peer) sessions() string {
	switch {
	case p.Stream == nil: // it is of a version without streams, or the other one is
		return "-"
	case p.Stream.Up:
		return "shared"
	}
	return "not shared: " + p.Stream.Why
}

func showPeers(out io.Writer, peers []peer) error {
	if len(peers) == 0 {
		return nil
	}
	w := columns(out)
	fmt.Fprintln(w, "\nBALANCER\tADDRESS\tVERSION\tRING\tIS\tSESSIONS")
	for _, p := range peers {
		is := "agrees"
		switch {
		case !p.Alive:
			is = "lost"
		case !p.Agrees:
			is = "differs"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s%s\t%s\n", p.Name, p.Address, dash(p.Version), dash(p.Digest), is, since(p.Since), p.sessions())
	}
	return w.Flush()
}
