package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"text/tabwriter"

	"tokenring/balancer"
)

// An Explainer asks where tokens go, one token after the other, and writes the answers.
// Not safe for concurrent use.
type Explainer struct {
	c     *Client
	pool  string // "": the main one
	at    string // the moment, as an operator has written it; "": now
	out   Output
	asked int
	table explanations
}

// Explainer returns an Explainer that writes to out. It asks about a pool, "" for the main one. at is
// the moment of the past that it asks for, as an operator has written it; "" stands for now.
func (c *Client) Explainer(pool, at string, out Output) *Explainer {
	return &Explainer{c: c, pool: pool, at: at, out: out, table: explanations{out: out}}
}

// Explain asks for one token. It writes the answer, or leaves that to Close. Errors don't
// contain the token.
func (x *Explainer) Explain(ctx context.Context, token string) error {
	x.asked++
	answer, err := x.c.explain(ctx, token, x.pool, x.at)
	switch {
	case errors.As(err, new(*refusal)):
		return fmt.Errorf("token %d: %w", x.asked, err)
	case err != nil:
		return err
	case x.out.JSON:
		return x.writeJSON(token, answer)
	}
	return x.table.add(token, answer)
}

// Close writes the answers that Explain hasn't written.
func (x *Explainer) Close() error { return x.table.flush() }

// explain asks for one token. It answers for the empty token itself.
func (c *Client) explain(ctx context.Context, token, pool, at string) ([]byte, error) {
	if token == "" {
		return json.Marshal(map[string]any{
			"rule": balancer.RuleRoundRobin, "reason": "Requests without a token go to the serving hosts in turn.", "candidates": []string{},
		})
	}
	question, patience := map[string]string{"token": token}, quickCall
	if pool != "" {
		question["pool"] = pool
	}
	if at != "" {
		question["at"], patience = at, longCall
	}
	return c.call(ctx, http.MethodPost, "/v1/explain", question, patience)
}

// writeJSON writes the API's answer on a line of its own. If out.ShowTokens is set, the
// token comes first in it.
func (x *Explainer) writeJSON(token string, answer []byte) error {
	if _, err := read[explanation](answer, nil); err != nil {
		return err
	}
	answer = bytes.TrimSpace(answer)
	if x.out.ShowTokens && len(answer) > 1 && answer[0] == '{' {
		text, err := json.Marshal(token)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(x.out, "{\"token\":%s,%s\n", text, answer[1:])
		return err
	}
	_, err := fmt.Fprintf(x.out, "%s\n", answer)
	return err
}

// explanations writes answers as text: a table with a line for each answer, or all
// details if there is only one. So the first answer is written when the second comes.
type explanations struct {
	out   Output
	first *explained        // the only answer so far
	table *tabwriter.Writer // nil until there are two answers
	past  *moment           // of the answers, nil for now
}

// An explained is a token with its answer.
type explained struct {
	explanation
	token string
}

func (l *explanations) add(token string, answer []byte) error {
	e, err := read[explanation](answer, nil)
	if err != nil {
		return err
	}
	next := &explained{e, token}
	if e.Past != nil {
		l.past = e.Past
	}
	switch {
	case l.table != nil:
		return l.row(next)
	case l.first == nil:
		l.first = next
		return nil
	}
	l.table = columns(l.out)
	head := "DIGEST\tHOST\tRULE\tWHY"
	if l.out.ShowTokens {
		head = "TOKEN\t" + head
	}
	fmt.Fprintln(l.table, head)
	return errors.Join(l.row(l.first), l.row(next))
}

func (l *explanations) row(e *explained) error {
	if l.out.ShowTokens {
		fmt.Fprintf(l.table, "%s\t", balancer.PrintableKey(e.token))
	}
	_, err := fmt.Fprintf(l.table, "%s\t%s\t%s\t%s\n", dash(e.Digest), dash(e.Host), e.Rule, e.Reason)
	return err
}

func (l *explanations) flush() error {
	switch {
	case l.table != nil:
		return errors.Join(l.table.Flush(), l.past.writeNotes(l.out))
	case l.first != nil:
		return l.writeOne(l.first)
	}
	return nil
}

// writeOne writes all details of a single answer.
func (l *explanations) writeOne(e *explained) error {
	w := columns(l.out)
	if l.out.ShowTokens {
		fmt.Fprintf(w, "token\t%s\n", balancer.PrintableKey(e.token))
	}
	fmt.Fprintf(w, "digest\t%s\n", dash(e.Digest))
	fmt.Fprintf(w, "host\t%s\n", dash(e.Host))
	fmt.Fprintf(w, "rule\t%s\n", e.Rule)
	fmt.Fprintf(w, "why\t%s\n", e.Reason)
	if e.Past != nil {
		e.Past.write(w)
	}
	if len(e.Candidates) == 0 {
		return w.Flush()
	}
	if e.Session != nil {
		fmt.Fprintf(w, "session\t%d terminal(s) on %s\n", e.Session.Tunnels, e.Session.Host)
	}
	for _, at := range e.Stays {
		by := "through this balancer"
		if at.Balancer != "" {
			by = "through " + at.Balancer
		}
		fmt.Fprintf(w, "stays\ton %s by %s, %s, %s\n", at.Host, at.Rule, by, instant(at.Since))
	}
	fmt.Fprintf(w, "ring\t%s, %s\n", dash(e.RingDigest), dash(e.Policy))
	fmt.Fprintf(w, "slot\t%s\n", e.place())
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nHOST\tROLE\tSTATE\tCHECKS\tWHY NOT")
	for _, h := range e.Candidates {
		whyNot := h.WhyNot
		if h.Chosen {
			whyNot = "(chosen)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.Host, h.Role, dash(h.State), dash(h.Verdict), dash(whyNot))
	}
	return w.Flush()
}

// place describes the token's place on the ring.
func (e explanation) place() string {
	if e.Slots == 0 {
		return "none: the ring has no hosts"
	}
	text := fmt.Sprintf("%d of %d, %.4f %% of all tokens", e.Slot, e.Slots, 100*e.SlotShare)
	if e.Point != nil {
		text += fmt.Sprintf(", at the point %d of 2^32", *e.Point)
	}
	return text
}
