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
	title  string
	meter  meter
	per    string
	series []series // one for each proxy
}

func newSection(m measurement, all []proxy) section {
	s := section{title: m.title, meter: m.meter, per: m.per}
	for _, p := range all {
		s.series = append(s.series, series{proxy: p.name})
	}
	return s
}

// notes say what the tables don't.
var notes = []string{
	"Each figure is from a fresh process, alone on one core; load and hosts share another. It is user and system time of all the proxy's threads and children between two moments under load, divided by the requests that the hosts served between. \"ratio\" is to the better of HAProxy and nginx; \"busy\" is the share of its core that the proxy used.",
	"All three hash the query parameter \"token\" consistently onto the same three hosts, keep connections alive on both sides, add X-Forwarded-For and log nothing; over TLS all use one ECDSA P-256 certificate, TLS 1.3 and AES-128-GCM. That is verified for each process before it is measured.",
	"lb does more: it also sets X-Forwarded-Proto, X-Forwarded-Host and X-Request-Id and counts metrics. nginx does less: it has no active checks, which lb and HAProxy do every 2 s.",
}

// fault tells what is wrong with the report, nil if nothing is.
func (r *report) fault() error {
	var faults []error
	for _, sec := range r.sections {
		for _, s := range sec.series {
			if n := s.failures(); n > 0 {
				faults = append(faults, fmt.Errorf("%s: %s: %d failed requests", sec.title, s.proxy, n))
			}
			if s.missing > 0 || len(s.samples) == 0 {
				faults = append(faults, fmt.Errorf("%s: %s: %d figures are missing", sec.title, s.proxy, s.missing))
			}
		}
	}
	return errors.Join(faults...)
}

// A form is a way to print a report.
type form struct {
	heading, item string // what goes before one
	table         func(rows [][]string) string
}

var (
	text     = form{item: "  ", table: textTable}
	markdown = form{heading: "### ", item: "- ", table: markdownTable}
)

func (r *report) render(f form) string {
	var b strings.Builder
	for _, s := range r.sections {
		fmt.Fprintf(&b, "%s%s\n\n%s\n", f.heading, s.title, f.table(s.rows()))
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
			if len(s.samples) > 0 && median(s.busy()) < enough {
				return []string{"Take these figures with care: a proxy was not kept busy, because others used this machine or the load had too little of it. It then handles fewer connections at each turn, which costs more per request. Look at \"busy\"."}
			}
		}
	}
	return nil
}

// rows returns the section's table, with its head.
func (s section) rows() [][]string {
	cost := fmt.Sprintf("%s %s per %s", s.meter.name, s.meter.unit, s.per)
	rows := [][]string{{"proxy", cost, "min–max", "ratio", s.per + "s/s", "busy", "errors"}}
	best := yardstick(s.series)
	for _, one := range s.series {
		rows = append(rows, one.row(best))
	}
	return rows
}

func (s series) row(best float64) []string {
	values := s.values()
	if len(values) == 0 {
		return []string{s.proxy, "missing", "–", "–", "–", "–", "–"}
	}
	ratio := "–"
	if best > 0 {
		ratio = fmt.Sprintf("%.2f", median(values)/best)
	}
	return []string{
		s.proxy,
		fmt.Sprintf("%.1f", median(values)),
		fmt.Sprintf("%.1f–%.1f", slices.Min(values), slices.Max(values)),
		ratio,
		fmt.Sprintf("%.0f", median(s.rates())),
		fmt.Sprintf("%.0f %%", median(s.busy())*100),
		fmt.Sprint(s.failures()),
	}
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
			fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---:|", len(row)-1))
		}
	}
	return b.String()
}
