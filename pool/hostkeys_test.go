package pool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/route"
)

// keyed is a machine with a host ide-1 that signs with the key a and has passed a check.
func keyed(t *testing.T) *machine {
	t.Helper()
	m := newMachine(settings{name: "lb-1", hash: small.WithDefaults(), limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}, delays: eligibility.DefaultDelays}, nil, nil, zerolog.Nop(), t0)
	m.joined, m.peersJoined = true, true
	m.announce(route.HostKey{'a'}, t0)
	m.step(checksEvent{"ide-1": {Address: "127.0.0.1:4001", Verdict: route.Up, At: t0}}, t0)
	return m
}

// announce has ide-1 announced with a key.
func (m *machine) announce(key route.HostKey, now time.Time) effects {
	host := localHost("ide-1", "127.0.0.1:4001")
	if !key.IsZero() {
		host.Signature = announcement.Signature{Key: key, Sequence: uint64(now.UnixMilli())}
	}
	return m.step(membersEvent{map[string]gossip.Member{host.Node(): {Metadata: host}}, true}, now)
}

func register(t *testing.T, k peers.HostKey) registersEvent {
	t.Helper()
	r, err := k.Register()
	if err != nil {
		t.Fatal(err)
	}
	return registersEvent{r}
}

func TestAKeyIsKeptOnceTheHostHasPassedACheck(t *testing.T) {
	m := newMachine(settings{name: "lb-1", hash: small.WithDefaults(), limits: AnnounceLimits{MaxHostsPerAddress: maxHostsPerAddress}, delays: eligibility.DefaultDelays}, nil, nil, zerolog.Nop(), t0)
	m.joined = true
	up := checksEvent{"ide-1": {Address: "127.0.0.1:4001", Verdict: route.Up, At: t0}}
	if m.announce(route.HostKey{'a'}, t0); m.registers.Len() != 0 {
		t.Error("it is kept before")
	}
	if m.step(up, t0); m.registers.Len() != 0 {
		t.Error("it is kept before the peers have been asked")
	}
	e := m.step(peersEvent{joined: true}, t0)
	if k, ok := m.registers.HostKey("ide-1"); !ok || k.Key != (route.HostKey{'a'}) || len(e.writes) != 1 || len(e.keys) != 1 {
		t.Errorf("got %+v, effects %+v", k, e)
	}
	if e := m.step(tick{}, t0.Add(time.Second)); len(e.writes) != 0 || len(e.keys) != 0 {
		t.Errorf("it is kept once more: %+v", e)
	}
}

func TestAHostWithAnotherKeyThanTheKnownOneIsOutOfTheRing(t *testing.T) {
	m := keyed(t)
	in := func() bool { return m.find("ide-1").eligibility.InRing }
	if !in() {
		t.Fatalf("it is out of the ring at first: %+v", m.published.Host("ide-1"))
	}
	e := m.step(register(t, peers.HostKey{Host: "ide-1", Key: route.HostKey{'b'}, At: t0.Add(-time.Hour), Origin: "lb-2"}), t0)
	if in() || m.published.Host("ide-1").WhyNot != route.WhyKey || !strings.Contains(m.published.Alarm, "another key") || len(e.keys) != 1 {
		t.Errorf("a peer has known another key for longer: %+v, alarm %s, effects %+v", m.published.Host("ide-1"), m.published.Alarm, e)
	}
	if m.announce(route.HostKey{'b'}, t0.Add(time.Second)); !in() || strings.Contains(m.published.Alarm, "another key") {
		t.Errorf("the host has that key: %+v, alarm %s", m.published.Host("ide-1"), m.published.Alarm)
	}
	if m.announce(route.HostKey{}, t0.Add(2*time.Second)); in() {
		t.Error("it doesn't sign any more, and is in the ring")
	}
	m.step(configuredEvent{keys: map[string]route.HostKey{"ide-1": {'c'}}}, t0.Add(3*time.Second))
	if m.announce(route.HostKey{'c'}, t0.Add(4*time.Second)); !in() {
		t.Error("it has the key of the configuration, and is out of the ring")
	}
	if m.step(configuredEvent{err: errors.New("line 2 is wrong")}, t0.Add(5*time.Second)); !in() || !strings.Contains(m.published.Alarm, "line 2 is wrong") {
		t.Errorf("the keys before don't stay: alarm %s", m.published.Alarm)
	}
}

func TestAnOperatorReplacesAKey(t *testing.T) {
	m := keyed(t)
	ask := func(r route.Rekey) error {
		r.By = "eva"
		e := m.step(rekeyEvent{1, r}, t0)
		if len(e.answers) == 1 {
			return e.answers[0].err
		}
		return nil
	}
	if err := ask(route.Rekey{Host: "ide-1", Key: route.HostKey{'b'}}); err != nil || m.keyOf("ide-1") != (route.HostKey{'b'}) {
		t.Errorf("another key: %v, %v", m.keyOf("ide-1"), err)
	}
	if err := ask(route.Rekey{Host: "ide-1", Forget: true}); err != nil || !m.keyOf("ide-1").IsZero() {
		t.Errorf("forgotten: %v, %v", m.keyOf("ide-1"), err)
	}
	if m.step(tick{}, t0); !m.keyOf("ide-1").IsZero() {
		t.Error("what was announced with the key before is learned again")
	}
	if m.announce(route.HostKey{'d'}, t0.Add(time.Second)); m.keyOf("ide-1") != (route.HostKey{'d'}) {
		t.Errorf("the next key isn't learned, but %v", m.keyOf("ide-1"))
	}
	if err := ask(route.Rekey{Host: "ide-7", Forget: true}); !errors.Is(err, route.ErrUnknownHost) {
		t.Errorf("an unknown host: %v", err)
	}
	m.step(configuredEvent{keys: map[string]route.HostKey{"ide-1": {'d'}}}, t0)
	if err := ask(route.Rekey{Host: "ide-1", Key: route.HostKey{'e'}}); !errors.Is(err, route.ErrRekey) {
		t.Errorf("a key of the configuration: %v", err)
	}
}

func TestOneClaimIsTakenAndSeveralAreAQuestion(t *testing.T) {
	claim := func(b byte) announcement.Claim {
		m := localHost("ide-1", "127.0.0.1:4001")
		m.Key = route.HostKey{b}
		return announcement.Claim{Metadata: m}
	}
	if key, err := chooseClaim("ide-1", []announcement.Claim{claim(1)}); err != nil || key != (route.HostKey{1}) {
		t.Errorf("one: %v, %v", key, err)
	}
	if _, err := chooseClaim("ide-1", nil); !errors.Is(err, route.ErrRekey) {
		t.Errorf("none: %v", err)
	}
	if _, err := chooseClaim("ide-1", []announcement.Claim{claim(1), claim(2)}); !errors.Is(err, route.ErrRekey) || !strings.Contains(err.Error(), route.HostKey{2}.String()) {
		t.Errorf("two: %v", err)
	}
}

// TestAHostThatHasLostItsKeyIsRefusedUntilAnOperatorTakesTheNewOne tries it with real agents.
func TestAHostThatHasLostItsKeyIsRefusedUntilAnOperatorTakesTheNewOne(t *testing.T) {
	t.Parallel()
	s := besiege(t, Config{})
	p := s.pool
	eventually(t, "the key is known", func() bool { return !p.Snapshot().Host("ide-1").Key.IsZero() })
	lost := announcement.NewIdentity()
	s.startAgent("ide-1", lost) // the one before runs still, and serves
	eventually(t, "the other key is refused", func() bool { return len(p.gossips.Keys.Claims("ide-1", time.Now())) == 1 })
	eventually(t, "it is an alarm", func() bool { return strings.Contains(p.Snapshot().Alarm, "ide-1") })
	if h := p.Snapshot().Host("ide-1"); h.Key == lost.Key() || !h.InRing {
		t.Errorf("the host that was there first: %+v", h)
	}
	key, err := p.Rekey(t.Context(), route.Rekey{Host: "ide-1", By: "eva"})
	if err != nil || key != lost.Key() {
		t.Fatalf("the key %v, %v; want %v", key, err, lost.Key())
	}
	eventually(t, "the new key counts", func() bool { return p.Snapshot().Host("ide-1").Key == lost.Key() })
	s.excuse("out of the ring: ide-1") // from the operator's word until what the other one has announced is taken, which comes next
	s.newsGetsThrough()
}

// TestAMachineThatChangesItsNameLeavesFewKeys: only hosts of the ring have their keys kept,
// and those of hosts that are gone make room for each other.
func TestAMachineThatChangesItsNameLeavesFewKeys(t *testing.T) {
	m := keyed(t)
	now := t0
	for round := range 10 {
		members := map[string]gossip.Member{}
		checks := checksEvent{}
		for i := range 3 * maxHostsPerAddress {
			host := localHost(fmt.Sprintf("a-%d-%d", round, i), fmt.Sprintf("10.6.6.6:%d", 5000+i))
			host.Signature = announcement.Signature{Key: route.HostKey{1, byte(round), byte(i)}, Sequence: 1}
			members[host.Node()] = gossip.Member{Metadata: host}
			checks[host.Name] = CheckResult{Address: host.Address, Verdict: route.Up, At: now}
		}
		m.step(membersEvent{members, true}, now)
		m.step(checks, now)
		learned := 0
		for i := range 3 * maxHostsPerAddress {
			if k, ok := m.registers.HostKey(fmt.Sprintf("a-%d-%d", round, i)); ok && k.Machine == "10.6.6.6" {
				learned++
			}
		}
		if learned != maxHostsPerAddress {
			t.Fatalf("round %d: %d keys are learned of one machine", round, learned)
		}
		for node, member := range members {
			member.Metadata.Leaving, member.Lost = true, true
			members[node] = member
		}
		m.step(membersEvent{members, true}, now)
		now = now.Add(eligibility.DefaultDelays.ForgetLeft + time.Second)
		m.step(tick{}, now)
	}
	if n := m.registers.Len(); n > 1+16+2*maxHostsPerAddress {
		t.Errorf("%d keys are kept", n)
	}
	if _, ok := m.registers.HostKey("ide-1"); !ok {
		t.Error("the key of an honest host is gone")
	}
}

// TestAForgottenHostHasNoPrecedence: others may have its address from then on.
func TestAForgottenHostHasNoPrecedence(t *testing.T) {
	m := keyed(t)
	p := peers.Precedence{Host: "ide-1", Address: "127.0.0.1:4001", Since: t0}
	r, err := p.Register()
	if err != nil {
		t.Fatal(err)
	}
	m.step(registersEvent{r}, t0)
	gone := localHost("ide-1", "127.0.0.1:4001")
	gone.Signature, gone.Leaving = announcement.Signature{Key: route.HostKey{'a'}, Sequence: 2}, true
	m.step(membersEvent{map[string]gossip.Member{gone.Node(): {Metadata: gone, Lost: true}}, true}, t0)
	if m.registers.Precedence("ide-1") != p {
		t.Fatal("the precedence is gone before the host is forgotten")
	}
	e := m.step(tick{}, t0.Add(time.Hour))
	topic := peers.Topic{Kind: peers.KindPrecedence, Key: "ide-1"}
	if m.registers.Precedence("ide-1").Host != "" || len(e.writes) != 1 || !slices.Contains(e.writes[0].Dropped, topic) {
		t.Errorf("it is kept: %+v", e.writes)
	}
}
