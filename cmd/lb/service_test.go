package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"tokenring/proxy"
)

// TestTheServiceIsThatOfThisProgram: its commands are ours, and it gives terminals
// the time that the balancer would.
func TestTheServiceIsThatOfThisProgram(t *testing.T) {
	b, err := os.ReadFile("../../docs/lb.service")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^ExecStart(?:Pre)?=/usr/local/bin/lb (.*)$`).FindAllStringSubmatch(string(b), -1)
	if len(commands) != 2 {
		t.Fatalf("found commands %q", commands)
	}
	for _, c := range commands {
		parser, err := kong.New(&cli{}, kong.Writers(io.Discard, io.Discard))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Fields(c[1])); err != nil {
			t.Errorf("%s: %v", c[1], err)
		}
	}
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(.*)$`).FindStringSubmatch(string(b))
	if len(stop) != 2 {
		t.Fatal("no TimeoutStopSec")
	}
	patience, err := time.ParseDuration(stop[1])
	if least := (proxy.Timeouts{}).WithDefaults().Shutdown; err != nil || patience <= least {
		t.Errorf("TimeoutStopSec is %s (%v), want more than %v", stop[1], err, least)
	}
}
