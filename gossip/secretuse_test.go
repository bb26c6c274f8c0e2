package gossip

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

func memberAt(role announcement.Role, name, at string, lost bool) Member {
	return Member{Metadata: announcement.Metadata{Role: role, Spec: route.Spec{Name: name}}, Addr: netip.MustParseAddrPort(at), Lost: lost}
}

func TestASecretLogSaysWhoUsesWhichSecret(t *testing.T) {
	l := newSecretLog(func() map[string]Member {
		return map[string]Member{
			"host/ide-1": memberAt(announcement.HostRole, "ide-1", "10.0.0.11:7946", false),
			"host/ide-2": memberAt(announcement.HostRole, "ide-2", "10.0.0.12:7946", true),
			"lb/lb-2":    memberAt(announcement.BalancerRole, "lb-2", "10.0.0.3:7946", false),
		}
	})
	before, after := secretOf(1), secretOf(2)
	for i, packet := range []struct {
		from   string
		secret []byte
	}{
		{"[::ffff:10.0.0.11]:7946", before},
		{"10.0.0.3:7946", before},
		{"10.0.0.3:7946", after},
		{"10.0.0.66:7946", before},
		{"10.0.0.67:7946", before},
	} {
		l.note(netip.MustParseAddrPort(packet.from), packet.secret, at(i))
	}
	want := []route.SecretMember{
		{Host: "ide-1", Address: netip.MustParseAddrPort("10.0.0.11:7946"), Secret: SecretDigest(before), HeardAt: at(0)},
		{Host: "ide-2", Address: netip.MustParseAddrPort("10.0.0.12:7946"), Lost: true},
		{Balancer: "lb-2", Address: netip.MustParseAddrPort("10.0.0.3:7946"), Secret: SecretDigest(after), HeardAt: at(2)},
		{Address: netip.MustParseAddrPort("10.0.0.67:7946"), Secret: SecretDigest(before), HeardAt: at(4)},
		{Address: netip.MustParseAddrPort("10.0.0.66:7946"), Secret: SecretDigest(before), HeardAt: at(3)},
	}
	if diff := cmp.Diff(want, l.use(), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("want, got:\n%s", diff)
	}
}

// TestForgedAddressesCrowdOutNoMember: who has a secret can send from any address.
func TestForgedAddressesCrowdOutNoMember(t *testing.T) {
	early, late := memberAt(announcement.HostRole, "early", "10.0.0.1:7946", false), memberAt(announcement.HostRole, "late", "10.0.0.2:7946", false)
	l := newSecretLog(func() map[string]Member { return map[string]Member{"host/early": early, "host/late": late} })
	l.note(early.Addr, secretOf(1), at(0))
	for i := range 3 * maxHeard {
		l.note(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 7946), secretOf(2), at(1))
	}
	l.note(late.Addr, secretOf(1), at(2))
	if len(l.all) > maxHeard {
		t.Errorf("it keeps %d addresses", len(l.all))
	}
	use := l.use()
	if len(use) > 2+maxStrangers || use[0].Secret != SecretDigest(secretOf(1)) || use[1].Secret != SecretDigest(secretOf(1)) {
		t.Errorf("got %d, the first of which are %+v", len(use), use[:2])
	}
}
