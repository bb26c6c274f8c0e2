package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func filled() section {
	return section{
		title: "Small answers", meter: cpu, per: "request",
		series: []series{
			{proxy: "lb", samples: []sample{{value: 18, rate: 50000, busy: .9}, {value: 20, rate: 51000, busy: .92}, {value: 19.04, rate: 49000, busy: .91}}},
			{proxy: "haproxy", samples: []sample{{value: 22, rate: 44000, busy: .97}}},
			{proxy: "nginx", samples: []sample{{value: 20, rate: 46000, busy: .95, failures: 2}}},
		},
	}
}

func TestRowsHoldMediansRangesAndRatios(t *testing.T) {
	want := [][]string{
		{"proxy", "CPU µs per request", "min–max", "ratio", "requests/s", "busy", "errors"},
		{"lb", "19.0", "18.0–20.0", "0.95", "50000", "91 %", "0"},
		{"haproxy", "22.0", "22.0–22.0", "1.10", "44000", "97 %", "0"},
		{"nginx", "20.0", "20.0–20.0", "1.00", "46000", "95 %", "2"},
	}
	if diff := cmp.Diff(want, filled().rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestMissingFigureIsShownAsMissing(t *testing.T) {
	s := filled()
	s.series[0].samples = nil
	if got := s.rows()[1]; got[0] != "lb" || got[1] != "missing" {
		t.Errorf("got %q", got)
	}
}

func TestTables(t *testing.T) {
	rows := [][]string{{"proxy", "µs", "min–max"}, {"lb", "19.0", "18.0–20.0"}}
	for name, row := range map[string]struct {
		f    form
		want string
	}{
		"text":     {text, "proxy  µs    min–max\nlb     19.0  18.0–20.0\n"},
		"markdown": {markdown, "| proxy | µs | min–max |\n|---|---:|---:|\n| lb | 19.0 | 18.0–20.0 |\n"},
	} {
		if diff := cmp.Diff(row.want, row.f.table(rows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestReportIsFaultyWithErrorsOrMissingFigures(t *testing.T) {
	good := filled()
	good.series[2].samples[0].failures = 0
	if err := (&report{sections: []section{good}}).fault(); err != nil {
		t.Errorf("a whole report: %v", err)
	}
	incomplete := good
	incomplete.series = append([]series{{proxy: "lb", missing: 1, samples: []sample{{value: 1}}}}, good.series[1:]...)
	empty := good
	empty.series = []series{{proxy: "lb"}}
	for name, row := range map[string]struct {
		sec  section
		want string
	}{
		"failed requests":    {filled(), "nginx: 2 failed requests"},
		"one figure missing": {incomplete, "lb: 1 figures are missing"},
		"no figure at all":   {empty, "lb: 0 figures"},
	} {
		err := (&report{sections: []section{row.sec}}).fault()
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
		"text":     {text, []string{"Small answers\n\nproxy", "  two cores\n", "no active checks"}},
		"markdown": {markdown, []string{"### Small answers\n\n| proxy |", "- two cores\n", "no active checks"}},
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
	if got := r.doubts(); len(got) != 0 {
		t.Errorf("all were busy, and yet: %q", got)
	}
	r.sections[0].series[1].samples[0].busy = 0.6
	if got := r.doubts(); len(got) != 1 || !strings.Contains(r.render(text), got[0]) {
		t.Errorf("one was not busy: got %q", got)
	}
}
