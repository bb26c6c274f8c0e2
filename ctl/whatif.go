package ctl

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

// A Question is a change of the ring to forecast, as the API takes it.
type Question struct {
	Pool    string         `json:"pool,omitempty"` // "": the main one
	Join    []Joiner       `json:"join,omitempty"`
	Leave   []string       `json:"leave,omitempty"`
	Policy  string         `json:"policy,omitempty"`
	Weights map[string]int `json:"weights,omitempty"`
}

// A Joiner is a host that would join the ring.
type Joiner struct {
	Name   string  `json:"name"`
	Weight *int    `json:"weight,omitempty"`
	ID     *uint32 `json:"id,omitempty"`
}

// Check returns an error if q changes nothing.
func (q Question) Check() error {
	if len(q.Join)+len(q.Leave)+len(q.Policy)+len(q.Weights) == 0 {
		return errors.New("lb ctl whatif: name a change with --leave, --join, --weight or --policy; lb ctl whatif --help says how")
	}
	return nil
}

// Whatif writes what the change q would move.
func (c *Client) Whatif(ctx context.Context, q Question, out Output) error {
	answer, err := c.call(ctx, http.MethodPost, "/v1/whatif", q, longCall)
	if err != nil {
		return err
	}
	return show(out, answer, showWhatif)
}

// ParseJoin reads NAME, NAME=weight:2, NAME=weight:2,id:9.
func ParseJoin(text string) (Joiner, error) {
	name, rest, more := strings.Cut(text, "=")
	j := Joiner{Name: name}
	wrong := func(what string) (Joiner, error) {
		return Joiner{}, fmt.Errorf("lb ctl whatif: --join %s: %s; write it like ide-9, ide-9=weight:2 or ide-9=weight:2,id:9", text, what)
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

func showWhatif(out io.Writer, a whatif) error {
	w := columns(out)
	how := "exact"
	if a.Method == "independent" {
		how = "as the product of the shares, because the two rings place tokens by different hashes"
	}
	fmt.Fprintf(w, "moved\t%s of the tokens (%s)\n", percent(a.Moved), how)
	fmt.Fprintf(w, "ideal\t%s, if all hosts had their fair shares before and after\n", percent(a.Ideal))
	fmt.Fprintf(w, "astray\t%s, between hosts whose weights stay\n", percent(a.Astray))
	fmt.Fprintf(w, "terminals\t%s\n", a.terminals())
	if a.SessionsAstray > 0 {
		fmt.Fprintf(w, "\t%d aren't on their tokens' hosts now, and get these when they reconnect, with or without the change\n", a.SessionsAstray)
	}
	fmt.Fprintf(w, "ring\t%s → %s\n", a.Before, a.After)
	if a.NeedsConfirmation && a.Before.Policy == a.After.Policy { // no command can change the policy
		fmt.Fprintf(w, "confirm\tthis needs --yes, because it moves more than %s\n", percent(a.ConfirmShare))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nHOST\tWEIGHT\tSHARE\tTERMINALS")
	for _, h := range pairUp(a.Before.Hosts, a.After.Hosts) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", h.name,
			h.change(func(t tableHost) string { return strconv.Itoa(t.Weight) }),
			h.change(func(t tableHost) string { return percent(t.Share) }),
			h.change(func(t tableHost) string { return strconv.Itoa(t.Sessions) }))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.showRoutes(out)
}

// String names a table.
func (t table) String() string { return dash(join(" ", t.Policy, t.Digest)) }

// terminals says how many terminals move.
func (a whatif) terminals() string {
	about := ""
	if !a.SessionsExact {
		about = "about "
	}
	return fmt.Sprintf("%s%d of %d open here would move when they reconnect; nothing is cut now", about, a.SessionsMoved, a.Sessions)
}

func (a whatif) showRoutes(out io.Writer) error {
	if len(a.Routes) == 0 {
		return nil
	}
	w := columns(out)
	fmt.Fprintln(w, "\nFROM\tTO\tSHARE\tTERMINALS")
	shown := a.Routes[:min(len(a.Routes), maxShown)]
	for _, r := range shown {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", cmp.Or(r.From, "(no host)"), cmp.Or(r.To, "(no host)"), percent(r.Share), r.Sessions)
	}
	if more := len(a.Routes) - len(shown) + a.RoutesLeftOut; more > 0 {
		fmt.Fprintf(w, "and %d smaller routes\n", more)
	}
	return w.Flush()
}

// A pair is a host before and after; nil where it isn't in the ring.
type pair struct {
	name          string
	before, after *tableHost
}

// pairUp returns the hosts of both tables, by name.
func pairUp(before, after []tableHost) []pair {
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

// change writes a value of the host before and after, or once if both are the same.
func (p pair) change(value func(tableHost) string) string {
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
