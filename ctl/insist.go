package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// write writes what waits, for whom and until when, and what to do; nothing if nothing waits.
func (w *waiting) write(out io.Writer) {
	if w == nil {
		return
	}
	fmt.Fprintf(out, "waiting\tfor %s, missing since %s, until %s: %s\n", strings.Join(w.For, ", "), instant(w.Since), instant(w.Until), strings.Join(w.Changes, "; "))
	fmt.Fprintf(out, "\tto go on without: lb ctl insist %s\n", strings.Join(w.names(), " "))
}

// names returns those of the missing balancers that are one argument of a command.
func (w *waiting) names() (names []string) {
	for _, name := range w.For {
		if strings.Contains(name, " ") { // nobody knows who they are
			return nil
		}
		names = append(names, name)
	}
	return names
}

// An Insistence is that changes of the ring wait no longer for balancers that are missing.
type Insistence struct {
	Peers      []string // all of them if it is empty
	Reason, By string   // for the log
	Confirmed  bool
}

type insisted struct {
	Peers, Changes, By []string
	Missing            []missing
}

func (i insisted) sound() bool { return len(i.Peers) > 0 }

// Insist goes on without balancers. Unless it is confirmed, it says what would change.
func (c *Client) Insist(ctx context.Context, i Insistence, out Output) error {
	if !i.Confirmed {
		return c.refuseInsist(ctx, i)
	}
	body := given(map[string]string{"reason": i.Reason, "by": i.By})
	if len(i.Peers) > 0 {
		body["peers"] = i.Peers
	}
	answer, err := c.call(ctx, http.MethodPost, "/v1/insist", body, longCall)
	if errors.As(err, new(unanswered)) {
		return uncertain(err, "changes", "lb ctl status")
	}
	if err != nil {
		return err
	}
	return show(out, answer, func(out io.Writer, done insisted) error {
		_, err := fmt.Fprintf(out, "%s: changes of the ring wait for %s no longer, until they are back: %s\n",
			strings.Join(done.By, ", "), strings.Join(done.Peers, ", "), strings.Join(done.Changes, "; "))
		for _, m := range done.Missing {
			fmt.Fprintf(out, "not known of %s, which may wait still: %s\n", m, m.Why)
		}
		return err
	})
}

// given returns the body of a request with those of the texts that aren't empty.
func given(texts map[string]string) map[string]any {
	body := map[string]any{}
	for name, text := range texts {
		if text != "" {
			body[name] = text
		}
	}
	return body
}

// refuseInsist says what would change.
func (c *Client) refuseInsist(ctx context.Context, i Insistence) error {
	st, err := read[status](c.get(ctx, "/v1/status"))
	switch {
	case err != nil:
		return err
	case st.Waiting == nil:
		return errors.New("nothing was changed: no change of the ring waits for a balancer")
	}
	w := st.Waiting
	return fmt.Errorf("nothing was changed: these changes of the ring would be made without %s, missing since %s (%s ago): %s.\n"+
		"If a balancer that is missing serves users still, a token may then be sent to two hosts: make sure that it doesn't, and then give the command again with --yes",
		strings.Join(w.For, ", "), instant(w.Since), seconds(time.Since(w.Since).Seconds()), strings.Join(w.Changes, "; "))
}
