package pool

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/pool/gossips"
)

func TestWhatGossipRefusesIsAnAlarmWhileItGoesOn(t *testing.T) {
	now := time.Now()
	m := newMachine(settings{name: "lb-1", limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}}, nil, nil, zerolog.Nop(), now)
	from := netip.MustParseAddrPort("10.0.0.7:7946")
	m.step(refusalsEvent{gossips.HostsName, []gossip.Refusal{
		{Reason: gossip.BadName, Host: "ide-1", From: from, Since: now, Last: now},
		{Reason: gossip.BadMetadata, From: from, Since: now, Last: now},
		{Reason: gossip.TooMany, Since: now, Last: now},
	}}, now)
	m.step(refusalsEvent{gossips.PeersName, nil}, now)
	alarm := m.published.Alarm
	for _, part := range []string{`the gossip "pool" refuses`, `10.0.0.7:7946 (name of "ide-1")`, "10.0.0.7:7946 (metadata)", "others (room)"} {
		if !strings.Contains(alarm, part) {
			t.Errorf("no %s in %q", part, alarm)
		}
	}
	if strings.Contains(alarm, gossips.PeersName) {
		t.Errorf("an alarm about peers: %q", alarm)
	}
	if m.step(tick{}, now.Add(time.Hour)); m.published.Alarm != "" {
		t.Errorf("an hour later: %q", m.published.Alarm)
	}
}
