package ctl

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// An Output is where answers are written, and in which form.
type Output struct {
	io.Writer
	JSON       bool // the API's answers as they are, instead of tables
	ShowTokens bool // explanations show the tokens, which are secrets
}

// show writes an answer to out, with table, or unchanged if out.JSON is set.
func show[T reply](out Output, answer []byte, table func(io.Writer, T) error) error {
	v, err := read[T](answer, nil)
	switch {
	case err != nil:
		return err
	case out.JSON:
		_, err := fmt.Fprintf(out, "%s\n", bytes.TrimSpace(answer))
		return err
	}
	return table(out, v)
}

// printAt gets the answer at a path, and writes it to out.
func printAt[T reply](ctx context.Context, c *Client, path string, out Output, table func(io.Writer, T) error) error {
	answer, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	return show(out, answer, table)
}

// columns returns a writer of columns to out. The caller must flush it.
func columns(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// join joins the texts that aren't empty.
func join(with string, texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), with)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// since returns " since" and a time, "" if t is zero.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + instant(t)
}

// dash returns s, or a dash if s is empty.
func dash(s string) string { return cmp.Or(s, "-") }
