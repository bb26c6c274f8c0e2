package main

import (
	"errors"
	"io"
	"testing"
	"time"

	"tokenring/chaos/oracle"
)

// TestARunInWhichTooLittleHasHappenedDoesNotCount, and its exit code tells that from a violation.
func TestARunInWhichTooLittleHasHappenedDoesNotCount(t *testing.T) {
	quiet := result{options: options{seed: 7, duration: time.Minute}}
	found, err := quiet.report(io.Discard)
	if found != 0 || !errors.Is(err, errUncounted) || exit(err) != exitUncounted {
		t.Errorf("nothing has happened: got %d violations, %v, exit code %d", found, err, exit(err))
	}
	broken := result{options: quiet.options, unequal: errors.New("lb-1 and lb-2 differ")}
	found, err = broken.report(io.Discard)
	if found != 1 || err == nil || errors.Is(err, errUncounted) || exit(err) != 1 {
		t.Errorf("a violation: got %d, %v, exit code %d", found, err, exit(err))
	}
	stalled := result{options: options{duration: time.Millisecond}}
	for range maxStalls + 1 {
		stalled.faults = append(stalled.faults, oracle.Fault{Kind: oracle.Stall})
	}
	if _, err := stalled.report(io.Discard); !errors.Is(err, errUncounted) {
		t.Errorf("the machine stood still: got %v", err)
	}
	if exit(nil) != 0 {
		t.Error("no error: the exit code isn't 0")
	}
}
