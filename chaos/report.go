package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
	"tokenring/chaos/region"
)

// The minima of a run that counts, per minute in which things break.
const (
	minFaults  = 8
	minKinds   = 6
	minMoves   = 20
	minSeconds = 60
	maxStalls  = 3
)

// patience is how long a user may get nothing but failures, whatever happens.
const patience = 20 * time.Second

// shown is how many violations of a rule are shown with the timeline of their token.
const shown = 2

// report prints the totals and the violations of a run. It returns how many there are, and an
// error if there is one, or if too little has happened.
func (r *result) report(out io.Writer) (found int, err error) {
	r.blame()
	servings := oracle.Without(r.servings, r.faults)
	violations := oracle.Overlaps(servings, r.faults)
	moves, moved := oracle.Moves(r.servings, r.faults, region.Linger)
	violations = append(violations, moved...)
	violations = append(violations, oracle.Users(r.events, servings, r.faults, patience)...)
	if r.unequal != nil {
		violations = append(violations, oracle.Violation{Rule: "unequal", At: record.Now(), Text: r.unequal.Error()})
	}
	for _, file := range r.leaks {
		violations = append(violations, oracle.Violation{Rule: "leak", At: record.Now(), Text: "a token is in " + file})
	}
	slices.SortStableFunc(violations, func(a, b oracle.Violation) int { return cmp.Compare(a.At, b.At) })
	r.totals(out, servings, moves)
	rules := map[string]int{}
	for _, v := range violations {
		fmt.Fprintf(out, "VIOLATION %s at %.2f: token %s: %s\n", v.Rule, (v.At - r.began).Seconds(), v.Token, v.Text)
		if rules[v.Rule]++; rules[v.Rule] <= shown && v.Token != "" {
			r.timeline(out, v)
		}
	}
	if len(violations) > 0 {
		return len(violations), fmt.Errorf("%d violations; again: make chaos SEED=%d DURATION=%v; records in %s", len(violations), r.seed, r.duration, r.dir)
	}
	fmt.Fprintln(out, "0 violations")
	return 0, r.enough(moves)
}

// totals prints what has happened.
func (r *result) totals(out io.Writer, servings []record.Serving, moves int) {
	seen, kinds := map[string]int{}, map[string]int{}
	for _, e := range r.events {
		seen[e.What]++
	}
	for _, f := range r.faults {
		kinds[string(f.Kind)]++
	}
	fmt.Fprintf(out, "\nseed %d: %d faults: %s\n", r.seed, len(r.faults), counts(kinds))
	fmt.Fprintf(out, "users: %s\n", counts(seen))
	fmt.Fprintf(out, "claims of new tokens that waited for the other balancers: %s\n", &r.claims)
	fmt.Fprintf(out, "hosts have served %d terminals and requests; %d times a token moved\n", len(servings), moves)
}

func counts(m map[string]int) string {
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s %d, ", key, m[key])
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte(", ")))
}

// errUncounted is that too little has happened in a run, or that the machine was too busy.
var errUncounted = errors.New("this run doesn't count")

// enough says whether so much has happened that the run counts.
func (r *result) enough(moves int) error {
	minutes := r.duration.Minutes()
	kinds, seconds, stalls := map[oracle.Kind]bool{}, 0, 0
	for _, f := range r.faults {
		kinds[f.Kind] = true
		if f.Kind == oracle.Stall {
			stalls++
		}
	}
	for _, e := range r.events {
		if e.What == oracle.Second {
			seconds++
		}
	}
	var all []error
	least := func(what string, got, want int) {
		if least := int(float64(want) * minutes); got < least {
			all = append(all, fmt.Errorf("%w: %d %s, want %d", errUncounted, got, what, least))
		}
	}
	least("faults", len(r.faults)-stalls, minFaults)
	least("kinds of faults", len(kinds), min(minKinds, int(float64(minKinds)/minutes)))
	least("moves", moves, minMoves)
	least("second tabs", seconds, minSeconds)
	if stalls > maxStalls {
		all = append(all, fmt.Errorf("%w: %d times this machine ran nothing for a while", errUncounted, stalls))
	}
	return errors.Join(all...)
}

// filesWith returns the files below dir that contain a text.
func filesWith(dir, text string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			found = append(found, path)
		}
		return err
	})
	return found, err
}
