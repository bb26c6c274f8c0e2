package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// A report is all figures, and what they were taken with.
type report struct {
	sections []section
	about    []string
}

// A section is the answer to one measurement.
type section struct {
	measurement
	series []series // one for each proxy
}

func newSection(m measurement, all []proxy) section {
	s := section{measurement: m}
	for _, p := range all {
		s.series = append(s.series, series{proxy: p.name})
	}
	return s
}

// add adds what a trial has shown of a proxy.
func (s *section) add(proxy string, got result) {
	i := slices.IndexFunc(s.series, func(one series) bool { return one.proxy == proxy })
	if got.err != nil {
		s.series[i].missing++
		return
	}
	s.series[i].samples = append(s.series[i].samples, got.sample)
}

// notes say what the tables don't.
var notes = []string{
	"Every figure is the median of processes that were started for it, each on a core of its own; load and hosts share another. Less is better everywhere. \"ratio\" is to the better of HAProxy and nginx, for memory to HAProxy.",
	"All three hash the query parameter \"token\" consistently onto the same three hosts, keep connections alive on both sides, add X-Forwarded-For, carry WebSockets and log nothing; over TLS all use one ECDSA P-256 certificate, TLS 1.3, AES-128-GCM and X25519. That is verified for each process before it is measured.",
	"lb does more: it also sets X-Forwarded-Proto, X-Forwarded-Host and X-Request-Id and counts metrics. nginx does less: it has no active checks, which lb and HAProxy do every 2 s.",
	"(a) to (c) and (e): user and system time of all the proxy's threads and children between two moments under load, divided by what the hosts served or echoed between. \"busy\" is the share of its core that the proxy used; (d) to (g) don't try to use it up.",
	"(d), (g) The proxies stand side by side, one at a time is given something to do, and memory (PSS, summed over a proxy's processes; 1 KB = 1000 bytes) is read a fixed time after that: \"each\" is what it grew by, divided by the terminals or connections; \"in all\" includes the empty proxy. HAProxy and nginx share a few libraries there, and each counts half of them.",
	"(e), (f) A round trip is timed by the terminal's end, in a process of its own; one that begins late because the last echo was late counts from when it was due.",
}

// fault tells what is wrong with the report, nil if nothing is.
func (r *report) fault() error {
	var faults []error
	for _, sec := range r.sections {
		for _, s := range sec.series {
			if err := sec.wrong(s); err != nil {
				faults = append(faults, fmt.Errorf("(%s) %s: %s: %w", sec.letter, sec.title, s.proxy, err))
			}
		}
	}
	return errors.Join(faults...)
}

// wrong tells what is wrong with one proxy's figures, nil if nothing is.
func (s section) wrong(one series) error {
	switch {
	case one.failures() > 0:
		return fmt.Errorf("%d failures under load", one.failures())
	case one.missing > 0 || len(one.samples) == 0:
		return fmt.Errorf("%d figures are missing", max(one.missing, 1))
	}
	for i, f := range s.figures {
		for _, v := range one.values(i) {
			if !f.sound(v) {
				return fmt.Errorf("%s %v can't be true", f.name, v)
			}
		}
	}
	return nil
}

// A form is a way to print a report.
type form struct {
	item    string // what goes before a line of text
	details bool   // whether each measurement has a table of its own
	table   func(rows [][]string) string
}

var (
	text     = form{item: "  ", details: true, table: textTable}
	markdown = form{item: "- ", table: markdownTable}
)

func (r *report) render(f form) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", f.table(r.summary()))
	if f.details {
		for _, s := range r.sections {
			fmt.Fprintf(&b, "(%s) %s\n\n%s\n", s.letter, s.title, f.table(s.rows()))
		}
	}
	for _, line := range slices.Concat(r.about, notes, r.doubts()) {
		fmt.Fprintf(&b, "%s%s\n", f.item, line)
	}
	return b.String()
}

// doubts says why the figures may not be worth much, if that can be seen.
func (r *report) doubts() []string {
	const enough = 0.85
	for _, sec := range r.sections {
		for _, s := range sec.series {
			if sec.saturating && len(s.samples) > 0 && median(s.busy()) < enough {
				return []string{fmt.Sprintf("Take (%s) with care: %s was not kept busy, because others used this machine or the load had too little of it. It then handles fewer connections at each turn, which costs more for each. Look at \"busy\".", sec.letter, s.proxy)}
			}
		}
	}
	return nil
}

// none stands where there is nothing to show.
const none = "–"

// summary returns one row for each figure, with the head of the table.
func (r *report) summary() [][]string {
	rows := [][]string{{"", "figure"}}
	if len(r.sections) > 0 {
		for _, s := range r.sections[0].series {
			rows[0] = append(rows[0], s.proxy)
		}
	}
	rows[0] = append(rows[0], "ratio", "must", "aim")
	for _, sec := range r.sections {
		for i, f := range sec.figures {
			rows = append(rows, sec.summed(i, f))
		}
	}
	return rows
}

// summed returns the summary's row for figure i.
func (s section) summed(i int, f figure) []string {
	row := []string{"(" + s.letter + ") " + s.title, f.title()}
	ratio := none
	for _, one := range s.series {
		row = append(row, f.shown(median(one.values(i)), len(one.samples) > 0))
		if one.proxy == subject {
			ratio = one.ratio(i, yardstick(s.series, i, f.against))
		}
	}
	if f.goal == (goal{}) {
		return append(row, ratio, none, none)
	}
	return append(row, ratio, fmt.Sprintf("≤ %.4g", f.goal.must), fmt.Sprintf("≤ %.4g", f.goal.aim))
}

func (f figure) shown(value float64, there bool) string {
	if !there {
		return "missing"
	}
	return fmt.Sprintf("%.*f", f.digits, value)
}

func (s series) ratio(i int, yardstick float64) string {
	if yardstick <= 0 || len(s.samples) == 0 {
		return none
	}
	return fmt.Sprintf("%.2f", median(s.values(i))/yardstick)
}

// rows returns the section's table, with its head: a row for each figure of
// each proxy.
func (s section) rows() [][]string {
	rows := [][]string{{"figure", "proxy", "median", "min–max", "ratio", "busy"}}
	for i, f := range s.figures {
		best := yardstick(s.series, i, f.against)
		for _, one := range s.series {
			rows = append(rows, one.row(i, f, best))
		}
	}
	return rows
}

func (s series) row(i int, f figure, best float64) []string {
	row := []string{f.title(), s.proxy}
	values := s.values(i)
	if len(values) == 0 {
		return append(row, "missing", none, none, none)
	}
	busy := none
	if b := median(s.busy()); b > 0 {
		busy = fmt.Sprintf("%.0f %%", b*100)
	}
	spread := f.shown(slices.Min(values), true) + "–" + f.shown(slices.Max(values), true)
	return append(row, f.shown(median(values), true), spread, s.ratio(i, best), busy)
}

func textTable(rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a Builder takes everything
	return b.String()
}

func markdownTable(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|---|---|%s\n", strings.Repeat("---:|", len(row)-2))
		}
	}
	return b.String()
}
