package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type ctlWhatifCmd struct {
	Leave  []string       `placeholder:"NAME" help:"A host that would leave the ring; may be repeated."`
	Join   []string       `sep:"none" placeholder:"NAME[=weight:N][,id:N]" help:"A host that would join it; may be repeated. What isn't said of a known host is as it is known."`
	Weight map[string]int `placeholder:"NAME=N" help:"Another weight for a host in the ring, 0 to 256; may be repeated."`
	Policy string         `placeholder:"NAME" help:"Another policy: consistent, rendezvous, maglev, ketama or haproxy."`
}

// Help is the text that --help adds.
func (ctlWhatifCmd) Help() string {
	return `Compares the ring in force with the one after the change, which isn't made. moved
is the share of all tokens that would have another host, ideal the least that the
weights ask for, astray what would move between hosts whose weights stay. Of the
terminals that are open through this balancer, those are counted that would be on
another host once they reconnect; a change of the ring cuts none.

With 1,000 hosts the first question takes some ten seconds, the next ones less
than one.`
}

// joiner is a host that would join, as the API has it.
type joiner struct {
	Name   string  `json:"name"`
	Weight *int    `json:"weight,omitempty"`
	ID     *uint32 `json:"id,omitempty"`
}

// Run asks.
func (c *ctlWhatifCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	question := map[string]any{}
	if len(c.Leave) > 0 {
		question["leave"] = c.Leave
	}
	var joiners []joiner
	for _, text := range c.Join {
		j, err := parseJoin(text)
		if err != nil {
			return usageError{err}
		}
		joiners = append(joiners, j)
	}
	if len(joiners) > 0 {
		question["join"] = joiners
	}
	if len(c.Weight) > 0 {
		question["weights"] = c.Weight
	}
	if c.Policy != "" {
		question["policy"] = c.Policy
	}
	if len(question) == 0 {
		return usageError{errors.New("lb ctl whatif: what if what? Use --leave, --join, --weight or --policy; lb ctl whatif --help says how")}
	}
	o, err := ctl.operator()
	if err != nil {
		return err
	}
	answer, err := o.call(ctx, http.MethodPost, "/v1/whatif", question, longCall)
	if err != nil {
		return err
	}
	return show(ctl, s.out, answer, showWhatif)
}

// parseJoin reads NAME, NAME=weight:2, NAME=weight:2,id:9.
func parseJoin(text string) (joiner, error) {
	name, rest, more := strings.Cut(text, "=")
	j := joiner{Name: name}
	wrong := func(what string) (joiner, error) {
		return joiner{}, fmt.Errorf("lb ctl whatif: --join %s: %s; write it like ide-9, ide-9=weight:2 or ide-9=weight:2,id:9", text, what)
	}
	if name == "" {
		return wrong("there is no name")
	}
	for _, part := range strings.Split(rest, ",") {
		if !more {
			break
		}
		key, value, _ := strings.Cut(part, ":")
		switch key {
		case "weight":
			n, err := strconv.Atoi(value)
			if err != nil {
				return wrong(fmt.Sprintf("%q is no weight", value))
			}
			j.Weight = &n
		case "id":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				return wrong(fmt.Sprintf("%q is no id", value))
			}
			id := uint32(n)
			j.ID = &id
		default:
			return wrong(fmt.Sprintf("%q is neither a weight nor an id", part))
		}
	}
	return j, nil
}

// maxShown is how many routes are shown; JSON has more.
const maxShown = 20

func showWhatif(out io.Writer, a ctlWhatif) error {
	w := columns(out)
	how := "exact"
	if a.Method == "independent" {
		how = "by the product of the shares: the two rings place tokens by different hashes"
	}
	fmt.Fprintf(w, "moved\t%s of the tokens (%s)\n", percent(a.Moved), how)
	fmt.Fprintf(w, "ideal\t%s, if all hosts had their fair shares before and after\n", percent(a.Ideal))
	fmt.Fprintf(w, "astray\t%s, between hosts whose weights stay\n", percent(a.Astray))
	fmt.Fprintf(w, "terminals\t%s\n", a.terminals())
	if a.SessionsAstray > 0 {
		fmt.Fprintf(w, "\t%d aren't on their tokens' hosts at present, and find these when they reconnect, whatever changes\n", a.SessionsAstray)
	}
	fmt.Fprintf(w, "ring\t%s → %s\n", a.Before, a.After)
	if a.NeedsConfirmation && a.Before.Policy == a.After.Policy { // no command changes the policy
		fmt.Fprintf(w, "confirm\tit is more than the %s that pass without --yes\n", percent(a.ConfirmShare))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nHOST\tWEIGHT\tSHARE\tTERMINALS")
	for _, h := range pairUp(a.Before.Hosts, a.After.Hosts) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", h.name,
			h.change(func(t ctlTableHost) string { return strconv.Itoa(t.Weight) }),
			h.change(func(t ctlTableHost) string { return percent(t.Share) }),
			h.change(func(t ctlTableHost) string { return strconv.Itoa(t.Sessions) }))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.showRoutes(out)
}

// String names a table.
func (t ctlTable) String() string { return dash(join(" ", t.Policy, t.Digest)) }

// terminals says how many terminals move.
func (a ctlWhatif) terminals() string {
	about := ""
	if !a.SessionsExact {
		about = "about "
	}
	return fmt.Sprintf("%s%d of %d open here would move once they reconnect; nothing is cut now", about, a.SessionsMoved, a.Sessions)
}

func (a ctlWhatif) showRoutes(out io.Writer) error {
	if len(a.Routes) == 0 {
		return nil
	}
	w := columns(out)
	fmt.Fprintln(w, "\nFROM\tTO\tSHARE\tTERMINALS")
	shown := a.Routes[:min(len(a.Routes), maxShown)]
	for _, r := range shown {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", cmp.Or(r.From, "(nobody)"), cmp.Or(r.To, "(nobody)"), percent(r.Share), r.Sessions)
	}
	if more := len(a.Routes) - len(shown) + a.RoutesLeftOut; more > 0 {
		fmt.Fprintf(w, "and %d smaller ones\n", more)
	}
	return w.Flush()
}

// A pair is a host before and after; nil where it isn't in the ring.
type pair struct {
	name          string
	before, after *ctlTableHost
}

// pairUp returns the hosts of both tables, by name.
func pairUp(before, after []ctlTableHost) []pair {
	var all []pair
	for i, h := range before {
		all = append(all, pair{name: h.Host, before: &before[i]})
	}
	for i, h := range after {
		if k := slices.IndexFunc(all, func(p pair) bool { return p.name == h.Host }); k >= 0 {
			all[k].after = &after[i]
			continue
		}
		all = append(all, pair{name: h.Host, after: &after[i]})
	}
	slices.SortFunc(all, func(a, b pair) int { return cmp.Compare(a.name, b.name) })
	return all
}

// change writes one value of the host before and after, or once if it is the
// same.
func (p pair) change(value func(ctlTableHost) string) string {
	was, is := "-", "-"
	if p.before != nil {
		was = value(*p.before)
	}
	if p.after != nil {
		is = value(*p.after)
	}
	if was == is {
		return was
	}
	return was + " → " + is
}
