package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// A moment is which ring was in force at a moment of the past.
type moment struct {
	At, Until time.Time
	RingAt    time.Time `json:"ring_at"`
	Cause     string
	Moved     *float64
	Change    *change
	Unknown   []string
}

type change struct {
	At    time.Time
	Cause string
}

// A past has what was known of the hosts, too.
type past struct {
	moment
	Hosts []pastHost
}

type pastHost struct {
	Host, State, Verdict string
	Weight               int
	InRing               bool      `json:"in_ring"`
	WhyNot               string    `json:"why_not"`
	SlowStart            time.Time `json:"slow_start_until"`
}

type history struct {
	Rings []struct {
		At      time.Time
		Digest  string `json:"ring_digest"`
		Cause   string
		Hosts   int
		Moved   *float64
		Changes []change
	}
}

func (h history) sound() bool { return h.Rings != nil }

// errNoPast is the error if a balancer doesn't know at.
var errNoPast = errors.New("this balancer has a version that doesn't keep earlier rings")

// RingAt writes the ring of a pool, "" for the main one, as it was at a moment, as an operator has
// written it.
func (c *Client) RingAt(ctx context.Context, pool, at string, out Output) error {
	answer, err := c.get(ctx, "/v1/ring?"+query("pool", pool, "at", at))
	if err != nil {
		return err
	}
	if r, err := read[ring](answer, nil); err == nil && r.Past == nil { // it has answered for now
		return errNoPast
	}
	return show(out, answer, showPastRing)
}

// RingHistory writes the rings of a pool, "" for the main one, that were in force, the newest first.
func (c *Client) RingHistory(ctx context.Context, pool string, out Output) error {
	return printAt(ctx, c, strings.TrimSuffix("/v1/ring/history?"+query("pool", pool), "?"), out, showHistory)
}

// query returns pairs of names and values as a URL has them, without those whose value is empty.
func query(pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values.Encode()
}

func showPastRing(out io.Writer, r ring) error {
	w := columns(out)
	r.Past.write(w)
	fmt.Fprintf(w, "ring\t%s, from %s to %s\n", dash(r.Digest), instant(r.Past.RingAt), until(r.Past.Until))
	fmt.Fprintf(w, "policy\t%s\n", r.policy())
	fmt.Fprintf(w, "moved\t%s\n", moved(r.Past.Moved))
	if r.Frozen {
		fmt.Fprintf(w, "frozen\tyes\n")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	shares := map[string]float64{}
	for _, s := range r.Shares {
		shares[s.Host] = s.Share
	}
	fmt.Fprintln(w, "\nHOST\tWEIGHT\tSHARE\tSTATE\tCHECKS\tIN RING\tNOTE")
	for _, h := range r.Past.Hosts {
		in := "no"
		if h.InRing {
			in = "yes"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", h.Host, h.Weight, percent(shares[h.Host]), h.State, h.Verdict, in, dash(h.note()))
	}
	return w.Flush()
}

// note returns what else is to be known of a host.
func (h pastHost) note() string {
	slow := ""
	if !h.SlowStart.IsZero() {
		slow = "in slow start until " + instant(h.SlowStart)
	}
	return join("; ", h.WhyNot, slow)
}

// write writes the lines about a moment.
func (m moment) write(w io.Writer) {
	fmt.Fprintf(w, "at\t%s\n", instant(m.At))
	fmt.Fprintf(w, "since\t%s, because: %s\n", instant(m.RingAt), m.Cause)
	if m.Change != nil {
		fmt.Fprintf(w, "then\t%s, %s\n", instant(m.Change.At), m.Change.Cause)
	}
	for _, text := range m.Unknown {
		fmt.Fprintf(w, "unknown\t%s\n", text)
	}
}

// until returns a time, or that there is none yet.
func until(t time.Time) string {
	if t.IsZero() {
		return "now"
	}
	return instant(t)
}

func moved(share *float64) string {
	if share == nil {
		return "-"
	}
	return percent(*share)
}

func showHistory(out io.Writer, h history) error {
	w := columns(out)
	fmt.Fprintln(w, "TIME\tRING\tHOSTS\tMOVED\tWHY")
	for _, r := range h.Rings {
		for i := len(r.Changes) - 1; i >= 0; i-- {
			fmt.Fprintf(w, "%s\t-\t-\t-\t%s\n", instant(r.Changes[i].At), r.Changes[i].Cause)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", instant(r.At), dash(r.Digest), r.Hosts, moved(r.Moved), cmp.Or(r.Cause, "-"))
	}
	return w.Flush()
}

// writeNotes writes the lines about the moment of explanations that are in a table.
func (m *moment) writeNotes(out io.Writer) error {
	if m == nil {
		return nil
	}
	var text strings.Builder
	w := columns(&text)
	fmt.Fprintln(w)
	m.write(w)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, text.String())
	return err
}
