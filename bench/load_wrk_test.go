package main

import "testing"

func TestTallyIsFoundBetweenOtherLines(t *testing.T) {
	out := "Running 5s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n" +
		`{"requests":1000,"connect":1,"read":2,"write":3,"status":4,"timeout":5}` + "\n"
	got, err := parseTally([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	if got.Requests != 1000 || got.failures() != 15 {
		t.Errorf("got %+v with %d failures, want 1000 requests, 15 failures", got, got.failures())
	}
}

func TestNoTallyIsAnError(t *testing.T) {
	for _, out := range []string{"", "unable to connect\n", "{broken\n"} {
		if got, err := parseTally([]byte(out)); err == nil {
			t.Errorf("%q: got %+v, want an error", out, got)
		}
	}
}

func TestFigureForAnotherJobIsRefused(t *testing.T) {
	for name, row := range map[string]struct {
		requests, served, links uint64
		ok                      bool
	}{
		"all agree":                       {10000, 10000, 192, true},
		"some were under way at the end":  {10000, 10064, 192, true},
		"the proxy answered by itself":    {10000, 5000, 192, false},
		"the proxy asked twice":           {10000, 20000, 192, false},
		"a connection for every request":  {10000, 10000, 10000, false},
		"a short run":                     {100, 100, 40, true},
		"nothing was asked, nothing done": {0, 0, 0, true}, // newSample refuses it
	} {
		err := plausible(row.requests, row.served, row.links, 64)
		if (err == nil) != row.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
