package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

type (
	ctlStatusCmd struct{}
	ctlHostsCmd  struct{}
	ctlRingCmd   struct{}
)

// Run shows how the balancer is.
func (ctlStatusCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	return look(ctx, ctl, s, "/v1/status", showStatus)
}

// Run lists the hosts.
func (ctlHostsCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	return look(ctx, ctl, s, "/v1/hosts", func(out io.Writer, list ctlHostList) error {
		return showHosts(out, list.Hosts)
	})
}

// Run shows the ring.
func (ctlRingCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	return look(ctx, ctl, s, "/v1/ring", showRing)
}

// look shows what is at a path of the API.
func look[T reply](ctx context.Context, ctl *ctlCmd, s *streams, path string, table func(io.Writer, T) error) error {
	o, err := ctl.operator()
	if err != nil {
		return err
	}
	answer, err := o.get(ctx, path)
	if err != nil {
		return err
	}
	return show(ctl, s.out, answer, table)
}

func showStatus(out io.Writer, st ctlStatus) error {
	w := columns(out)
	ready := "takes traffic"
	if !st.Ready {
		ready = "takes no traffic: " + st.NotReady
	}
	h := st.Hosts
	fmt.Fprintf(w, "balancer\t%s %s, up %s, %s\n", st.Name, st.Version, time.Duration(st.UptimeSeconds)*time.Second, ready)
	fmt.Fprintf(w, "hosts\t%d: %d ready, %d drain, %d maint; checks: %d up, %d down; %d serve\n", h.Total, h.Ready, h.Drain, h.Maint, h.Up, h.Down, h.Serving)
	fmt.Fprintf(w, "terminals\t%d open here, %d requests under way\n", st.Sessions, st.InFlight)
	st.write(w)
	for _, c := range st.Certificates {
		until := "none yet"
		if !c.NotAfter.IsZero() {
			until = "until " + instant(c.NotAfter)
		}
		fmt.Fprintf(w, "certificate\t%s\n", join("; ", strings.Join(c.Names, " ")+": "+until, c.Problem))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return showPeers(out, st.Peers)
}

func showRing(out io.Writer, r ctlRing) error {
	w := columns(out)
	var parameters []string
	for _, name := range slices.Sorted(maps.Keys(r.Parameters)) {
		parameters = append(parameters, fmt.Sprintf("%s %v", name, r.Parameters[name]))
	}
	fmt.Fprintf(w, "policy\t%s (%s)\n", r.Policy, strings.Join(parameters, ", "))
	fmt.Fprintf(w, "key\t%s\n", strings.Join(r.Key, ", then "))
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

// write writes what status and ring both tell of the ring.
func (a ctlAgreement) write(w io.Writer) {
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

func showPeers(out io.Writer, peers []ctlPeer) error {
	if len(peers) == 0 {
		return nil
	}
	w := columns(out)
	fmt.Fprintln(w, "\nBALANCER\tADDRESS\tVERSION\tRING\tIS")
	for _, p := range peers {
		is := "of one mind"
		switch {
		case !p.Alive:
			is = "lost"
		case !p.Agrees:
			is = "of another mind"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s%s\n", p.Name, p.Address, dash(p.Version), dash(p.Digest), is, since(p.Since))
	}
	return w.Flush()
}

func showHosts(out io.Writer, hosts []ctlHost) error {
	w := columns(out)
	fmt.Fprintln(w, "HOST\tSTATE\tCHECKS\tSERVES\tSHARE\tWEIGHT\tTERMINALS\tREQUESTS\tADDRESS\tNOTE")
	for _, h := range hosts {
		serves := "no"
		if h.Serving {
			serves = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n",
			h.Name, h.State, h.Verdict, serves, percent(h.Share), h.Weight, h.Sessions, h.Requests, h.Address, dash(h.note()))
	}
	return w.Flush()
}

// note is what there is to say of a host beside its numbers.
func (h ctlHost) note() string {
	decided, weight, warming, full := "", "", "", ""
	if h.By != "" || h.Reason != "" {
		decided = join(": ", join(" ", h.State, "by", h.By), h.Reason)
	}
	if d := h.Decided; d != nil {
		weight = join(": ", "weight by "+d.By, d.Reason)
		if h.Announced != nil {
			weight += fmt.Sprintf(" (its own is %d)", *h.Announced)
		}
	}
	if h.Warming != nil {
		warming = fmt.Sprintf("warming up: %s of its keys, all by %s", percent(h.Warming.Taken), instant(h.Warming.Until))
	}
	if h.Full {
		full = "full"
	}
	return join("; ", h.WhyNot, h.CheckError, decided, weight, warming, full)
}

// columns returns a writer of columns. Whoever uses it flushes it.
func columns(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// join joins those texts that aren't empty.
func join(with string, texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), with)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// since says since when, if that is known.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + instant(t)
}
