package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func filled() section {
	of := func(busy float64, values ...float64) sample { return sample{values: values, busy: busy} }
	return section{
		measurement: measurement{
			letter: "a", title: "small answers", saturating: true,
			figures: []figure{{name: "CPU", unit: "µs", digits: 1, goal: goal{1.1, 0.9}}, {name: "memory", unit: "MB", against: "haproxy", signed: true}},
		},
		series: []series{
			{proxy: "lb", samples: []sample{of(.9, 18, 10), of(.92, 20, 12), of(.91, 19.04, 11)}},
			{proxy: "haproxy", samples: []sample{of(.97, 22, 44)}},
			{proxy: "nginx", samples: []sample{of(0, 20, 5)}},
		},
	}
}

func TestRowsHoldMediansRangesAndRatios(t *testing.T) {
	want := [][]string{
		{"figure", "proxy", "median", "min–max", "ratio", "busy"},
		{"CPU, µs", "lb", "19.0", "18.0–20.0", "0.95", "91 %"},
		{"CPU, µs", "haproxy", "22.0", "22.0–22.0", "1.10", "97 %"},
		{"CPU, µs", "nginx", "20.0", "20.0–20.0", "1.00", "–"},
		{"memory, MB", "lb", "11", "10–12", "0.25", "91 %"},
		{"memory, MB", "haproxy", "44", "44–44", "1.00", "97 %"},
		{"memory, MB", "nginx", "5", "5–5", "0.11", "–"},
	}
	if diff := cmp.Diff(want, filled().rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestSummaryHasARowForEachFigureWithItsGoals(t *testing.T) {
	want := [][]string{
		{"", "figure", "lb", "haproxy", "nginx", "ratio", "must", "aim"},
		{"(a) small answers", "CPU, µs", "19.0", "22.0", "20.0", "0.95", "≤ 1.1", "≤ 0.9"},
		{"(a) small answers", "memory, MB", "11", "44", "5", "0.25", "–", "–"},
	}
	if diff := cmp.Diff(want, (&report{sections: []section{filled()}}).summary()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestMissingFigureIsShownAsMissing(t *testing.T) {
	s := filled()
	s.series[0].samples = nil
	if got := s.rows()[1]; got[1] != "lb" || got[2] != "missing" {
		t.Errorf("got %q", got)
	}
	if got := s.summed(0, s.figures[0]); got[2] != "missing" || got[5] != none {
		t.Errorf("in the summary: got %q", got)
	}
}

func TestResultsAreFiledUnderTheirProxy(t *testing.T) {
	s := newSection(measurement{}, proxies("lb"))
	s.add("nginx", result{sample: sample{busy: .5}})
	s.add("haproxy", result{err: errors.New("no")})
	if lb, haproxy, nginx := s.series[0], s.series[1], s.series[2]; len(lb.samples)+lb.missing != 0 ||
		haproxy.missing != 1 || len(haproxy.samples) != 0 || len(nginx.samples) != 1 {
		t.Errorf("got %+v", s.series)
	}
}

func TestTables(t *testing.T) {
	rows := [][]string{{"proxy", "µs", "min–max"}, {"lb", "19.0", "18.0–20.0"}}
	for name, row := range map[string]struct {
		f    form
		want string
	}{
		"text":     {text, "proxy  µs    min–max\nlb     19.0  18.0–20.0\n"},
		"markdown": {markdown, "| proxy | µs | min–max |\n|---|---|---:|\n| lb | 19.0 | 18.0–20.0 |\n"},
	} {
		if diff := cmp.Diff(row.want, row.f.table(rows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestReportIsFaultyWithErrorsOrMissingFigures(t *testing.T) {
	if err := (&report{sections: []section{filled()}}).fault(); err != nil {
		t.Errorf("a whole report: %v", err)
	}
	for name, row := range map[string]struct {
		spoil func(one *series)
		want  string
	}{
		"a failure":          {func(one *series) { one.samples[0].failures = 2 }, "lb: 2 failures"},
		"one figure missing": {func(one *series) { one.missing = 1 }, "lb: 1 figures are missing"},
		"no figure at all":   {func(one *series) { one.samples = nil }, "lb: 1 figures are missing"},
		"no cost at all":     {func(one *series) { one.samples[0].values[0] = 0 }, "lb: CPU 0 can't be true"},
	} {
		sec := filled()
		row.spoil(&sec.series[0])
		err := (&report{sections: []section{sec}}).fault()
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

func TestRenderShowsEverySectionAndWhatItWasTakenWith(t *testing.T) {
	r := &report{sections: []section{filled()}, about: []string{"two cores"}}
	for name, row := range map[string]struct {
		f    form
		want []string
	}{
		"text":     {text, []string{"(a) small answers\n\nfigure", "  two cores\n", "no active checks"}},
		"markdown": {markdown, []string{"| (a) small answers | CPU, µs | 19.0 |", "- two cores\n", "no active checks"}},
	} {
		got := r.render(row.f)
		for _, want := range row.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, got)
			}
		}
	}
}

func TestProxyThatWasNotKeptBusyRaisesDoubts(t *testing.T) {
	r := &report{sections: []section{filled()}}
	r.sections[0].series[2].samples[0].busy = 0.95
	if got := r.doubts(); len(got) != 0 {
		t.Errorf("all were busy, and yet: %q", got)
	}
	r.sections[0].series[1].samples[0].busy = 0.6
	if got := r.doubts(); len(got) != 1 || !strings.Contains(r.render(text), got[0]) {
		t.Errorf("one was not busy: got %q", got)
	}
	r.sections[0].saturating = false
	if got := r.doubts(); len(got) != 0 {
		t.Errorf("no proxy had to be busy, got: %q", got)
	}
}
