package ctl

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// pollInterval is the time between two questions while PoolKey waits.
const pollInterval = 500 * time.Millisecond

// An Expectation is that all members of a gossip use one secret. A member that gossip has
// lost must use it if it was heard after the balancer changed its secrets, or shortly
// before: it may be lost because it missed the change.
type Expectation struct {
	Secret   string        // its digest; "" for no expectation
	Except   []string      // the names of members that need not
	Patience time.Duration // how long to wait for it
}

// PoolKey writes which secrets the gossips have, and which of them each member uses. It
// waits until it is as expected, and returns an error that says what isn't if it has
// waited for long enough.
func (c *Client) PoolKey(ctx context.Context, want Expectation, out Output) error {
	deadline := time.Now().Add(want.Patience)
	for {
		answer, err := c.get(ctx, "/v1/pool-key")
		keys, err := read[poolKey](answer, err)
		if err != nil {
			return err
		}
		missing := keys.missing(want)
		if len(missing) == 0 || !time.Now().Before(deadline) {
			if err := show(out, answer, showPoolKey); err != nil || len(missing) == 0 {
				return err
			}
			return fmt.Errorf("not all use the secret %s yet: %s", want.Secret, strings.Join(missing, ", "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// shortly is how long before a change of secrets a lost member was heard at most, if it may
// be lost because of the change.
const shortly = 10 * time.Minute

// missing says which of the balancer and the members don't use the expected secret yet.
func (p poolKey) missing(want Expectation) (missing []string) {
	if want.Secret == "" {
		return nil
	}
	i := slices.IndexFunc(p.Gossips, func(g gossip) bool { return len(g.Secrets) > 0 && g.Secrets[0].Digest == want.Secret })
	if i < 0 {
		return []string{"this balancer sends with another one"}
	}
	g := p.Gossips[i]
	for _, m := range g.Members {
		gone := m.Lost && m.HeardAt.Before(g.Since.Add(-shortly))
		if m.Name == "" || gone || m.Secret == want.Secret || slices.Contains(want.Except, m.Name) {
			continue
		}
		what := "uses " + m.Secret
		if m.Secret == "" {
			what = "hasn't been heard"
		}
		if m.Lost {
			what += " and is lost"
		}
		missing = append(missing, fmt.Sprintf("%s %s at %s %s", m.Role, m.Name, m.Address, what))
	}
	return missing
}

func showPoolKey(out io.Writer, p poolKey) error {
	for i, g := range p.Gossips {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if err := showGossip(out, g); err != nil {
			return err
		}
	}
	if len(p.Gossips) == 0 {
		fmt.Fprintln(out, "this balancer has no gossip, and so no secret of one")
	}
	return nil
}

func showGossip(out io.Writer, g gossip) error {
	w := columns(out)
	living := 0
	for _, m := range g.Members {
		if m.Name != "" && !m.Lost {
			living++
		}
	}
	fmt.Fprintf(w, "gossip\t%s\n", g.Gossip)
	for _, s := range g.Secrets {
		use := "this balancer reads it"
		if s.Sends {
			use = "this balancer sends with it"
		}
		fmt.Fprintf(w, "secret\t%s, %s; %d of %d members were last heard with it\n", s.Digest, use, s.Heard, living)
	}
	fmt.Fprintf(w, "since\t%s\n", instant(g.Since))
	if g.Problem != "" {
		fmt.Fprintf(w, "ALARM\tthe changed file isn't used: %s\n", g.Problem)
	}
	if err := w.Flush(); err != nil || len(g.Members) == 0 {
		return err
	}
	fmt.Fprintln(w, "\nMEMBER\tGOSSIP ADDRESS\tSECRET\tHEARD\tNOTE")
	for _, m := range g.Members {
		heard := "never"
		if !m.HeardAt.IsZero() {
			heard = instant(m.HeardAt)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", dash(join(" ", m.Role, m.Name)), m.Address, dash(m.Secret), heard, dash(m.note(g)))
	}
	return w.Flush()
}

// note says what is wrong with a member's secret.
func (m secretMember) note(g gossip) string {
	stranger, lost, old := "", "", ""
	if m.Name == "" {
		stranger = "no member, but it has the secret"
	}
	if m.Lost {
		lost = "lost"
	}
	if m.Secret != "" && len(g.Secrets) > 0 && m.Secret != g.Secrets[0].Digest {
		old = "not the secret that this balancer sends with"
	}
	return join("; ", stranger, lost, old)
}
