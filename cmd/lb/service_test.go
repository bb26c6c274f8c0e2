package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"tokenring/config"
	"tokenring/proxy"
)

// TestTheServicesRunThisProgram: their commands are commands of lb.
func TestTheServicesRunThisProgram(t *testing.T) {
	t.Setenv("LB_AGENT_NAME", "ide-1") // of agent.env
	t.Setenv("LB_AGENT_ADDRESS", "10.0.0.11:4000")
	t.Setenv("LB_AGENT_JOIN", "10.0.0.2:7946")
	t.Setenv("LB_AGENT_SECRET_FILE", "/etc/lb/pool.key")
	for _, unit := range []string{"lb.service", "lb-agent.service"} {
		commands := regexp.MustCompile(`(?m)^Exec(?:Start|Reload)=/usr/bin/lb (.*)$`).FindAllStringSubmatch(readPackaging(t, unit), -1)
		if want := map[string]int{"lb.service": 2, "lb-agent.service": 1}[unit]; len(commands) != want {
			t.Fatalf("%s: found commands %q, want %d", unit, commands, want)
		}
		for _, c := range commands {
			mustParse(t, unit, c[1])
		}
	}
	upgrade := regexp.MustCompile(`(?m)^    if lb (.*?) <`).FindStringSubmatch(readPackaging(t, "debian/postinst"))
	if len(upgrade) != 2 {
		t.Fatal("postinst upgrades nothing")
	}
	mustParse(t, "postinst", upgrade[1])
}

// mustParse wants a command line to be one of lb's.
func mustParse(t *testing.T, where, command string) {
	t.Helper()
	parser, err := newParser(new(cli), &streams{}, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(strings.Fields(command)); err != nil {
		t.Errorf("%s: lb %s: %v", where, command, err)
	}
}

// TestTheServicesWaitLongEnough: the balancer's for terminals as long as the balancer does
// by default, the agent's until its host has left.
func TestTheServicesWaitLongEnough(t *testing.T) {
	for unit, least := range map[string]time.Duration{"lb.service": proxy.DefaultShutdownGrace + time.Second, "lb-agent.service": leaveTime} {
		stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(.*)$`).FindStringSubmatch(readPackaging(t, unit))
		if len(stop) != 2 {
			t.Fatalf("%s: no TimeoutStopSec", unit)
		}
		if patience, err := time.ParseDuration(stop[1]); err != nil || patience < least {
			t.Errorf("%s: TimeoutStopSec is %s (%v), want at least %v", unit, stop[1], err, least)
		}
	}
}

// TestTheExampleOfThePackageIsRight, so that the service starts with it.
func TestTheExampleOfThePackageIsRight(t *testing.T) {
	got := runProgram(t.Context(), t, "check", "-c", "../../packaging/lb.yaml")
	if got.code != exitOK || strings.Contains(got.out+got.errOut, "warning") {
		t.Errorf("lb check exits with %d: %s%s", got.code, got.out, got.errOut)
	}
	cfg, err := config.Load("../../packaging/lb.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if unit := readPackaging(t, "lb.service"); cfg.StateDir != "/var/lib/lb" || !strings.Contains(unit, "\nStateDirectory=lb\n") {
		t.Errorf("state_dir is %s, which isn't the directory of the service", cfg.StateDir)
	}
}

func readPackaging(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
