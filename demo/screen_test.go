package demo

import (
	"os/exec"
	"testing"
)

// The terminal's screen is plain JavaScript without a page, so that any
// JavaScript engine can test it; without one this test is skipped.
func TestScreenShowsWhatProgramsSend(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node to run it")
	}
	out, err := exec.CommandContext(t.Context(), node, "../testdata/demo/screen.test.mjs").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
