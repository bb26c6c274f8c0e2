package main

import (
	"io"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestCommandLine(t *testing.T) {
	usual := fullScale(3, 2500*time.Millisecond)
	for name, row := range map[string]struct {
		args []string
		want scale
		ok   bool
	}{
		"defaults":       {[]string{"--lb", "x"}, usual, true},
		"smoke":          {[]string{"--lb", "x", "--smoke"}, smokeScale(), true},
		"chosen":         {[]string{"--lb", "x", "--rounds", "9", "--duration", "2s"}, fullScale(9, 2*time.Second), true},
		"no binary":      {nil, scale{}, false},
		"no rounds":      {[]string{"--lb", "x", "--rounds", "0"}, scale{}, false},
		"nearly no time": {[]string{"--lb", "x", "--duration", "10ms"}, scale{}, false},
	} {
		got, _, err := parse(row.args, io.Discard, io.Discard)
		if (err == nil) != row.ok || (row.ok && !reflect.DeepEqual(got.scale(), row.want)) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestMeasurementsAreChosenByLetter(t *testing.T) {
	s := &stage{scale: fullScale(1, time.Second)}
	for args, want := range map[string]string{"": "aabbcddddeefgg", "d,e": "ddddee", "f,a": "aaf"} {
		o, _, err := parse(slices.DeleteFunc([]string{"--lb=x", "--only=" + args}, func(arg string) bool { return arg == "--only=" }), io.Discard, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		some, err := chosen(s.measurements(), o.Only)
		got := ""
		for _, m := range some {
			got += m.letter
		}
		if err != nil || got != want {
			t.Errorf("--only %s: got %s, %v, want %s", args, got, err, want)
		}
	}
	if got, err := chosen(s.measurements(), []string{"a", "x"}); err == nil {
		t.Errorf("got %d measurements for the letter x, want an error", len(got))
	}
}

func TestEveryQuestionAsksForFigures(t *testing.T) {
	for _, sc := range []scale{smokeScale(), fullScale(1, time.Second)} {
		s := &stage{scale: sc}
		for _, m := range s.measurements() {
			if len(m.figures) == 0 || m.trial == nil || m.title == "" || m.figures[0].title() == "" {
				t.Errorf("(%s) %s has no figures or no trial", m.letter, m.title)
			}
		}
	}
}

func TestProcessorsAreCounted(t *testing.T) {
	info := "processor\t: 0\nmodel name\t: Some CPU\n\nprocessor\t: 1\nmodel name\t: Some CPU\n"
	if model, count := processor(info); model != "Some CPU" || count != 2 {
		t.Errorf("got %d of %q", count, model)
	}
	if model, count := processor(""); model != "an unknown model" || count != 0 {
		t.Errorf("without information: %d of %q", count, model)
	}
}

func TestVersionsAreTrimmed(t *testing.T) {
	for line, want := range map[string]string{
		"HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/": "HAProxy version 2.6.12-1+deb12u4 2026/10/17",
		"nginx version: nginx/1.22.1":                                        "nginx version: nginx/1.22.1",
		"wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012":                   "wrk debian/4.1.0-3+b2",
	} {
		if got := trimVersion(line); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
