package main

import (
	"io"
	"testing"
	"time"
)

func TestCommandLine(t *testing.T) {
	for name, row := range map[string]struct {
		args     []string
		rounds   int
		duration time.Duration
		ok       bool
	}{
		"defaults":       {[]string{"--lb", "x"}, 5, 4 * time.Second, true},
		"smoke":          {[]string{"--lb", "x", "--smoke"}, 1, time.Second, true},
		"chosen":         {[]string{"--lb", "x", "--rounds", "3", "--duration", "2s"}, 3, 2 * time.Second, true},
		"no binary":      {nil, 5, 4 * time.Second, false},
		"no rounds":      {[]string{"--lb", "x", "--rounds", "0"}, 0, 4 * time.Second, false},
		"nearly no time": {[]string{"--lb", "x", "--duration", "10ms"}, 5, 10 * time.Millisecond, false},
	} {
		got, _, err := parse(row.args, io.Discard, io.Discard)
		if (err == nil) != row.ok || (row.ok && (got.Rounds != row.rounds || got.Duration != row.duration)) {
			t.Errorf("%s: got %+v, %v", name, got, err)
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
