//go:build integration

package hostile

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"tokenring/gossip"
	"tokenring/route"
)

// TestNoBalancerIsAHost has a member announce all addresses where balancers listen as
// services. None is served to users.
func TestNoBalancerIsAHost(t *testing.T) {
	r := newRegion(t, plan{})
	m := r.newMember()
	u := r.startUsers()
	var all []netip.AddrPort
	for i := range r.balancers {
		for _, port := range []uint16{clientPort, adminPort, poolPort, peersPort} {
			all = append(all, r.at(firstBalancer+byte(i), port))
		}
	}
	r.announceElsewhere(m, all)
	u.check(loss{})
	r.wantRefused(gossip.NotAdmitted)
}

// TestNothingElseIsAHost has a member announce a server that is no host and would pass the
// checks, and itself, where lb.yaml names the networks of the hosts. The server hears
// nothing of it.
func TestNothingElseIsAHost(t *testing.T) {
	r := newRegion(t, plan{allowed: true})
	internal := newHost(t, "internal", r.at(server, idePort), 0)
	m := r.newMember()
	u := r.startUsers()
	r.announceElsewhere(m, []netip.AddrPort{internal.at, r.at(thiefAddress, idePort), netip.MustParseAddrPort("169.254.169.254:80")})
	u.check(loss{})
	for _, h := range []*host{internal, r.thief} {
		if tokens, checks := h.seen(); tokens+checks > 0 {
			t.Errorf("%s has got %d tokens and %d checks", h.name, tokens, checks)
		}
	}
	r.wantRefused(gossip.NotAdmitted)
}

// TestNobodyIsWhereItDoesNotAnswer is TestNothingElseIsAHost where lb.yaml names no networks:
// the member says that its gossip has the address of the server, or of another host.
func TestNobodyIsWhereItDoesNotAnswer(t *testing.T) {
	r := newRegion(t, plan{})
	internal := newHost(t, "internal", r.at(server, idePort), 0)
	beside := newHost(t, "beside", r.at(firstHost, idePort+1), 0)
	m := r.newMember()
	u := r.startUsers()
	r.announceElsewhere(m, []netip.AddrPort{internal.at, beside.at})
	u.check(loss{})
	for _, h := range []*host{internal, beside} {
		if tokens, checks := h.seen(); tokens+checks > 0 {
			t.Errorf("%s has got %d tokens and %d checks", h.name, tokens, checks)
		}
	}
	r.wantRefused(gossip.Unreached)
}

// announceElsewhere has a member announce hosts at addresses for a while, each with the
// gossip address that would fit: it tells that to everybody, whoever is there.
func (r *region) announceElsewhere(m *member, addresses []netip.AddrPort) {
	repeat(5*time.Second, func(i int) {
		for n, address := range addresses {
			for k, at := range []netip.AddrPort{m.at, netip.AddrPortFrom(address.Addr(), poolPort)} {
				spec := route.Spec{Name: fmt.Sprintf("a-%d-%d", n, k), Address: address.String(), Weight: 8}
				m.tell(alive(spec.Name, 2+i, at, m.announce(spec, at)))
			}
		}
	})
}
