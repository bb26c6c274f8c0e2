package gossip

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

// A signingHost makes announcements of a host.
type signingHost struct {
	name     string
	identity *announcement.Identity // nil: it doesn't sign
	at       netip.AddrPort
}

func newSigningHost(name string) signingHost {
	return signingHost{name: name, identity: announcement.NewIdentity(), at: gossipAt(1)}
}

// says returns what memberlist would tell of the host, which announces weight.
func (h signingHost) says(t testing.TB, weight int) *memberlist.Node {
	t.Helper()
	m := hostMeta(h.name)
	m.Weight = weight
	b, err := signer{identity: h.identity, label: "test", at: h.at}.encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return &memberlist.Node{Name: m.Node(), Addr: h.at.Addr().AsSlice(), Port: h.at.Port(), Meta: b, PMin: 1, PMax: 5, PCur: 2}
}

func verifyingMembers(keys *announcement.Keys) *members {
	return newMembers("lb/lb-1", Filter{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, signatures{keys: keys, label: "test"}, zerolog.Nop())
}

// join has memberlist ask for a node and take it in.
func (l *members) join(n *memberlist.Node) error {
	err := l.NotifyAlive(n)
	if err == nil {
		l.NotifyJoin(n)
	}
	return err
}

func TestAnnouncementsThatTheHostHasNotMadeAreRefused(t *testing.T) {
	host, thief := newSigningHost("ide-1"), newSigningHost("ide-1")
	elsewhere := signingHost{name: "ide-1", at: gossipAt(9)}
	older, last := host.says(t, 2), host.says(t, 3)
	forged := *last
	forged.Meta = []byte(strings.Replace(string(last.Meta), "10.0.0.1:4000", "10.6.6.6:4000", 1))
	moved := *last
	moved.Addr = net.IPv4(10, 6, 6, 6)
	unsigned := signingHost{name: "ide-1", at: gossipAt(1)}.says(t, 8)
	file := map[string]route.HostKey{"ide-1": thief.identity.Key()}
	for what, row := range map[string]struct {
		first      *memberlist.Node // that is a member
		configured map[string]route.HostKey
		require    bool
		next       *memberlist.Node
		reason     Reason // "" if it isn't refused
		old        bool
	}{
		"the first one":                          {next: last},
		"another one of the host":                {first: last, next: host.says(t, 4)},
		"the same once more":                     {first: last, next: last},
		"one that isn't signed":                  {next: unsigned},
		"a host begins to sign":                  {first: unsigned, next: last},
		"one with another address":               {next: &forged, reason: BadSignature},
		"another gossip address":                 {next: &moved, reason: BadSignature},
		"an older one":                           {first: last, next: older, old: true},
		"another key":                            {first: last, next: thief.says(t, 4), reason: OtherKey},
		"unsigned after a signed one":            {first: last, next: unsigned, reason: NotSigned},
		"another signs in the place of one":      {first: elsewhere.says(t, 1), next: last, reason: OtherKey},
		"unsigned where signatures are a must":   {require: true, next: unsigned, reason: NotSigned},
		"signed where signatures are a must":     {require: true, next: last},
		"the file's key":                         {configured: file, next: thief.says(t, 1)},
		"another key than the file's":            {configured: file, next: last, reason: OtherKey},
		"unsigned though the file has a key":     {configured: file, next: unsigned, reason: NotSigned},
		"not in the file":                        {configured: map[string]route.HostKey{}, next: last},
		"not in the file, signatures are a must": {configured: map[string]route.HostKey{}, require: true, next: last, reason: OtherKey},
	} {
		keys := announcement.NewKeys(row.require)
		keys.Configure(row.configured)
		l := verifyingMembers(keys)
		if row.first != nil {
			if err := l.join(row.first); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		err := l.join(row.next)
		if refused := err != nil; refused != (row.reason != "" || row.old) {
			t.Errorf("%s: %v", what, err)
		}
		for reason, n := range l.refusals.counts() {
			if (n > 0) != (reason == row.reason) {
				t.Errorf("%s: refused %d times because of %q; want %q", what, n, reason, row.reason)
			}
		}
		if err != nil && row.first != nil && l.list()["host/ide-1"].Metadata.Address != "10.0.0.1:4000" {
			t.Errorf("%s: the host is at %s", what, l.list()["host/ide-1"].Metadata.Address)
		}
	}
}

// TestAnnouncementsAreInForceThoughMemberlistIgnoresThem: after a forged incarnation it
// tells of nothing that the host says.
func TestAnnouncementsAreInForceThoughMemberlistIgnoresThem(t *testing.T) {
	host := newSigningHost("ide-1")
	l := verifyingMembers(announcement.NewKeys(false))
	if err := l.join(host.says(t, 1)); err != nil {
		t.Fatal(err)
	}
	<-l.changed
	if err := l.NotifyAlive(host.says(t, 5)); err != nil {
		t.Fatal(err)
	}
	if got := l.list()["host/ide-1"].Metadata.Weight; got != 5 || len(l.changed) != 1 {
		t.Errorf("the weight is %d, and %d notes are left; want 5 and one", got, len(l.changed))
	}
	host.at = gossipAt(7)
	if err := l.NotifyAlive(host.says(t, 5)); err != nil {
		t.Fatal(err)
	}
	if got := l.list()["host/ide-1"]; got.Addr != gossipAt(7) || got.Lost {
		t.Errorf("after it moved: %+v", got)
	}
}

func TestAnotherKeyIsTakenWhenItIsSet(t *testing.T) {
	host, again := newSigningHost("ide-1"), newSigningHost("ide-1")
	keys := announcement.NewKeys(false)
	l := verifyingMembers(keys)
	if err := l.join(host.says(t, 1)); err != nil {
		t.Fatal(err)
	}
	for weight := range 3 {
		_ = l.NotifyAlive(again.says(t, 2+weight)) // refused
	}
	claims := keys.Claims("ide-1", time.Now())
	if len(claims) != 1 || claims[0].Metadata.Key != again.identity.Key() || claims[0].Metadata.Weight != 4 {
		t.Fatalf("the claims are %+v", claims)
	}
	l.setKey("ide-1", again.identity.Key())
	if got := l.list()["host/ide-1"].Metadata; got.Weight != 4 || got.Key != again.identity.Key() {
		t.Errorf("after the key was set: %+v", got)
	}
	if claims := keys.Claims("ide-1", time.Now()); len(claims) != 0 {
		t.Errorf("the claims are %+v still", claims)
	}
	if err := l.NotifyAlive(host.says(t, 9)); err == nil {
		t.Error("the key before is as good")
	}
	l.setKey("ide-1", route.HostKey{})
	if err := l.NotifyAlive(host.says(t, 9)); err != nil {
		t.Errorf("no key is known, but: %v", err)
	}
	if got := keys.Claims("ide-1", time.Now().Add(time.Hour)); len(got) != 0 {
		t.Errorf("after an hour the claims are %+v", got)
	}
}

// TestTheLastAnnouncementIsKnownAfterARestart: an older one could be of a time when the
// host was elsewhere.
func TestTheLastAnnouncementIsKnownAfterARestart(t *testing.T) {
	host := newSigningHost("ide-1")
	l := verifyingMembers(announcement.NewKeys(false))
	older, last := host.says(t, 1), host.says(t, 2)
	if err := l.join(last); err != nil {
		t.Fatal(err)
	}
	cached := ToCache(l.list(), func(string) bool { return true }, t0)
	next := verifyingMembers(announcement.NewKeys(false))
	if added := next.addCached(cached); len(added) != 1 {
		t.Fatalf("added %+v of %+v", added, cached)
	}
	if next.join(older) == nil {
		t.Error("an older announcement is taken")
	}
	if next.join(newSigningHost("ide-1").says(t, 1)) == nil {
		t.Error("another key is taken")
	}
	if err := next.join(last); err != nil {
		t.Errorf("the last announcement: %v", err)
	}
	other := announcement.NewKeys(false)
	other.SetKey("ide-1", announcement.NewIdentity().Key())
	if added := verifyingMembers(other).addCached(cached); len(added) != 0 {
		t.Errorf("a host with another key was added: %+v", added)
	}
}

// TestOnlyAHostItselfBeginsToSign: whoever signs for a host that doesn't would have its name
// for good.
func TestOnlyAHostItselfBeginsToSign(t *testing.T) {
	serves := true
	host, thief := newSigningHost("ide-1"), newSigningHost("ide-1")
	start := func() *members {
		l := verifyingMembers(announcement.NewKeys(false))
		l.places = newPlaces(nil, nil)
		l.filter.Serving = func(string) bool { return serves }
		if err := l.join(signingHost{name: "ide-1", at: gossipAt(1)}.says(t, 1)); err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := start()
	if err := l.NotifyAlive(thief.says(t, 2)); !errors.Is(err, announcement.ErrUnreached) {
		t.Errorf("at the host's gossip address, before the host was asked: %v", err)
	}
	found := place{"host/ide-1", gossipAt(1), host.identity.Key()}
	l.places.has(found, time.Now())
	l.places.lanes[1].all[found] = &inquiry{here: true, ends: time.Now().Add(time.Hour)}
	if err := l.NotifyAlive(host.says(t, 2)); err != nil {
		t.Errorf("the host itself: %v", err)
	}
	if err := l.NotifyAlive(thief.says(t, 2)); err == nil {
		t.Error("another key counts after the host's")
	}

	thief.at = gossipAt(9)
	l = start()
	l.NotifyLeave(host.says(t, 1)) // which anybody can bring about
	if err := l.NotifyAlive(thief.says(t, 2)); err == nil || l.refusals.counts()[OtherKey] != 1 {
		t.Errorf("elsewhere, while the host serves: %v", err)
	}
	if claims := l.signatures.keys.Claims("ide-1", time.Now()); len(claims) != 1 {
		t.Errorf("an operator is told of the keys %+v", claims)
	}
	l.setKey("ide-1", thief.identity.Key())
	if err := l.NotifyAlive(thief.says(t, 3)); err != nil {
		t.Errorf("after an operator has taken the key: %v", err)
	}

	serves = false
	l = start()
	l.NotifyLeave(host.says(t, 1))
	if err := l.NotifyAlive(thief.says(t, 2)); err != nil {
		t.Errorf("in the place of a host that is gone: %v", err)
	}
}
