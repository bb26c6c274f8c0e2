package h2spec

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// TestBalancerPassesH2spec runs every case, the strict ones too, against a
// balancer in front of one host.
func TestBalancerPassesH2spec(t *testing.T) {
	cfg := target(t, startBalancer(t, startHost(t)))
	passed := 0
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		t.Run(group.Key, func(t *testing.T) { passed += runGroup(t, cfg, group) })
	}
	if passed < 146 && !t.Failed() {
		t.Errorf("only %d cases have been run", passed)
	}
}

// target says where the cases find their server.
func target(t *testing.T, address string) *config.Config {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	must(t, err)
	number, err := strconv.Atoi(port)
	must(t, err)
	return &config.Config{
		Host: host, Port: number, Path: "/", TLS: true, Insecure: true, Strict: true,
		Timeout: 2 * time.Second, MaxHeaderLen: 4000,
	}
}

// runGroup runs the cases of a group and of those in it, and returns how many
// have passed.
func runGroup(t *testing.T, cfg *config.Config, group *spec.TestGroup) (passed int) {
	cases := append(append([]*spec.TestCase{}, group.Tests...), group.StrictTests...)
	for i, c := range cases {
		name := fmt.Sprintf("%s/%d %s", group.Section, i+1, c.Desc)
		if t.Run(name, func(t *testing.T) { runCase(t, cfg, c) }) {
			passed++
		}
	}
	for _, inner := range group.Groups {
		passed += runGroup(t, cfg, inner)
	}
	return passed
}

func runCase(t *testing.T, cfg *config.Config, c *spec.TestCase) {
	conn, err := spec.Dial(cfg)
	must(t, err)
	defer conn.Close()
	if err := c.Run(cfg, conn); err != nil {
		t.Errorf("%s\n%v", c.Requirement, err)
	}
}
