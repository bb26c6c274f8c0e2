package quota

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
)

func TestTheStatusTellsWhoHasMetALimitLately(t *testing.T) {
	q := quotas(t, &SourceConfig{Requests: "1/h", Terminals: 1}, &KeyConfig{Requests: "1/h"})
	now := q.began.Add(time.Second)
	v6 := netip.MustParseAddr("2001:db8::1")
	for range 4 {
		q.Request(one, noKey, now)
	}
	for range 3 {
		q.Request(v6, noKey, now)
	}
	q.Open(new(int), one, noKey, 0, now)
	q.Open(new(int), one, noKey, 0, now.Add(time.Second))
	q.Request(nobody, keyOne, now)
	q.Request(nobody, keyOne, now)
	q.Request(two, noKey, now)
	later := now.Add(time.Second)
	equal := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	want := []Offender{
		{Source: netip.MustParsePrefix("192.0.2.1/32"), Limit: SourceRequests, Refused: 3, Last: later},
		{Source: netip.MustParsePrefix("2001:db8::/64"), Limit: SourceRequests, Refused: 2, Last: now},
		{Source: netip.MustParsePrefix("192.0.2.1/32"), Limit: SourceTerminals, Refused: 1, Last: later},
		{Key: balancer.Digest{1}, Limit: KeyRequests, Refused: 1, Last: now},
	}
	got := q.Status(later)
	if diff := cmp.Diff(want, got.Top, equal); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.Sources != 3 || got.Keys != 1 || got.Source.Terminals != 1 || got.Key.Requests != "1/h" {
		t.Errorf("got %+v", got)
	}
	if got := q.Status(now.Add(lately + time.Second)); len(got.Top) != 0 || got.Sources != 3 {
		t.Errorf("long after: got %+v", got)
	}
	q.Request(one, noKey, now.Add(lately+2*time.Second)) // refused, and counts anew
	if got := q.Status(now.Add(lately + 2*time.Second)).Top; len(got) != 1 || got[0].Refused != 1 {
		t.Errorf("when it is refused again: got %+v", got)
	}
	if got := q.Status(now.Add(3 * time.Hour)); got.Sources != 1 || got.Keys != 0 {
		t.Errorf("when nothing counts but an open terminal: got %+v", got)
	}
	if got := (*Quotas)(nil).Status(now); !cmp.Equal(got, Status{}) {
		t.Errorf("without limits: got %+v", got)
	}
}

func TestTheTopListIsBounded(t *testing.T) {
	q := quotas(t, &SourceConfig{Requests: "1/h"}, nil)
	now := q.began.Add(time.Second)
	for i := range 200 {
		from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		for range i + 2 {
			q.Request(from, noKey, now)
		}
	}
	top := q.Status(now).Top
	if len(top) != mostOffenders || top[0].Refused != 200 {
		t.Errorf("got %d, the first with %d", len(top), top[0].Refused)
	}
}
