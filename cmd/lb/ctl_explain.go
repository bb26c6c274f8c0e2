package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"tokenring/balancer"
)

type ctlExplainCmd struct {
	ShowTokens bool     `help:"Show the tokens, which are secrets, beside their digests."`
	Tokens     []string `arg:"" optional:"" placeholder:"TOKEN" help:"Tokens; without any they are read from standard input, one a line."`
}

// Help is the text that --help adds.
func (ctlExplainCmd) Help() string {
	return `Says where a request with each token would go now through this balancer: the
host, by which rule, and why. Of a single token it says more: its slot, the ring,
and all hosts in the order in which it tries them, with the reason why each isn't
the one. A live session goes
before the ring, and is known if it goes through this balancer.

A token is the value of the key as it stands in the request, never decoded. It
is shown as the digest that the access log has. Arguments can be seen by others
on this machine; standard input can't.`
}

// Run explains.
func (c *ctlExplainCmd) Run(ctx context.Context, ctl *ctlCmd, s *streams) error {
	o, err := ctl.operator()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(s.out)
	line, flush := c.printer(ctl, out)
	number := 0
	err = eachToken(c.Tokens, s.in, func(token string) error {
		number++
		answer, err := o.explain(ctx, token)
		switch {
		case errors.As(err, new(*refusal)):
			return fmt.Errorf("token %d: %w", number, err)
		case err != nil:
			return err
		}
		return line(token, answer)
	})
	return errors.Join(err, flush(), out.Flush())
}

// explain asks for one token. Without one there is nothing to ask.
func (o *operator) explain(ctx context.Context, token string) ([]byte, error) {
	if token == "" {
		return json.Marshal(map[string]any{
			"rule": balancer.RuleRoundRobin, "reason": "Requests without a token go to the serving hosts in turn.", "candidates": []string{},
		})
	}
	return o.call(ctx, http.MethodPost, "/v1/explain", map[string]string{"token": token}, quickCall)
}

// printer returns what writes the answer for a token, and what ends the last one.
func (c *ctlExplainCmd) printer(ctl *ctlCmd, out io.Writer) (line func(token string, answer []byte) error, flush func() error) {
	if ctl.Format == "json" {
		return func(token string, answer []byte) error { return c.writeJSON(out, token, answer) }, func() error { return nil }
	}
	l := &explanations{showTokens: c.ShowTokens, out: out}
	return l.add, l.flush
}

// writeJSON writes the API's answer on a line of its own, with the token in front
// if it is to be shown.
func (c *ctlExplainCmd) writeJSON(out io.Writer, token string, answer []byte) error {
	if _, err := read[ctlExplanation](answer, nil); err != nil {
		return err
	}
	answer = bytes.TrimSpace(answer)
	if c.ShowTokens && len(answer) > 1 && answer[0] == '{' {
		text, err := json.Marshal(token)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "{\"token\":%s,%s\n", text, answer[1:])
		return err
	}
	_, err := fmt.Fprintf(out, "%s\n", answer)
	return err
}

// explanations are the answers as people read them: a line for each, or all that is
// known if there is but one. So the first one waits for the second.
type explanations struct {
	showTokens bool
	out        io.Writer
	first      *explanation      // until there is a second
	table      *tabwriter.Writer // from then on
}

type explanation struct {
	ctlExplanation
	token string
}

func (l *explanations) add(token string, answer []byte) error {
	e, err := read[ctlExplanation](answer, nil)
	if err != nil {
		return err
	}
	next := &explanation{e, token}
	switch {
	case l.table != nil:
		return l.row(next)
	case l.first == nil:
		l.first = next
		return nil
	}
	l.table = columns(l.out)
	head := "DIGEST\tHOST\tRULE\tWHY"
	if l.showTokens {
		head = "TOKEN\t" + head
	}
	fmt.Fprintln(l.table, head)
	return errors.Join(l.row(l.first), l.row(next))
}

func (l *explanations) row(e *explanation) error {
	if l.showTokens {
		fmt.Fprintf(l.table, "%s\t", shown(e.token))
	}
	_, err := fmt.Fprintf(l.table, "%s\t%s\t%s\t%s\n", dash(e.Digest), dash(e.Host), e.Rule, e.Reason)
	return err
}

func (l *explanations) flush() error {
	switch {
	case l.table != nil:
		return l.table.Flush()
	case l.first != nil:
		return l.writeOne(l.first)
	}
	return nil
}

// writeOne writes all that is known of a single token.
func (l *explanations) writeOne(e *explanation) error {
	w := columns(l.out)
	if l.showTokens {
		fmt.Fprintf(w, "token\t%s\n", shown(e.token))
	}
	fmt.Fprintf(w, "digest\t%s\n", dash(e.Digest))
	fmt.Fprintf(w, "host\t%s\n", dash(e.Host))
	fmt.Fprintf(w, "rule\t%s\n", e.Rule)
	fmt.Fprintf(w, "why\t%s\n", e.Reason)
	if len(e.Candidates) == 0 {
		return w.Flush()
	}
	if e.Session != nil {
		fmt.Fprintf(w, "session\t%d terminal(s) on %s\n", e.Session.Tunnels, e.Session.Host)
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

// place says where on the ring the token lies.
func (e ctlExplanation) place() string {
	if e.Slots == 0 {
		return "none: the ring has no hosts"
	}
	text := fmt.Sprintf("%d of %d, %.4f %% of all tokens", e.Slot, e.Slots, 100*e.SlotShare)
	if e.Point != nil {
		text += fmt.Sprintf(", to the point %d of 2^32", *e.Point)
	}
	return text
}
