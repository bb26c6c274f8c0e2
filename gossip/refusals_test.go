package gossip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func gossipAt(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 7946)
}

func TestARefusalGoesOnForAsLongAsItIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged strings.Builder
		r, began := newRefusals(noMember, zerolog.New(&logged)), time.Now()
		for range 20 {
			r.refuse(BadName, "host/ide-1", gossipAt(1), errors.New("because"))
			time.Sleep(time.Minute)
		}
		want := Refusal{Reason: BadName, Host: "ide-1", From: gossipAt(1), Since: began, Last: began.Add(19 * time.Minute)}
		if list := r.list(time.Now()); len(list) != 1 || list[0] != want {
			t.Errorf("got %v, want %v", list, want)
		}
		time.Sleep(refusalEnds)
		if list := r.list(time.Now()); len(list) > 0 {
			t.Errorf("it is over, got %v", list)
		}
		if got := r.counts()[BadName]; got != 20 {
			t.Errorf("counted %d, want 20", got)
		}
		if lines := strings.Count(logged.String(), "\n"); lines == 0 || lines > 6 {
			t.Errorf("%d lines", lines)
		}
		for _, part := range []string{`"node":"host/ide-1"`, `"from":"10.0.0.1:7946"`, `"error":"because"`, `"reason":"name"`} {
			if !strings.Contains(logged.String(), part) {
				t.Errorf("no %s in %s", part, logged.String())
			}
		}
	})
}

// TestRefusalsAreBounded has one machine invent names, and many machines send nonsense.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefusals(noMember, zerolog.Nop())
		notes := 0
		for i := range 10_000 {
			r.refuse(BadMetadata, fmt.Sprintf("host/ide-%d", i), gossipAt(1), nil)
			r.refuse(OtherPool, "", gossipAt(i), nil)
			if len(r.changed) > 0 {
				r.changed.Clear()
				notes++
			}
		}
		if list := r.list(time.Now()); len(list) > maxRefusals+len(reasons) || notes > len(list) {
			t.Errorf("%d are kept, with %d notes", len(list), notes)
		}
		if counts := r.counts(); counts[BadMetadata] != 10_000 || counts[OtherPool] != 10_000 {
			t.Errorf("counted %v", counts)
		}
		time.Sleep(refusalEnds)
		r.refuse(BadMetadata, "host/new", gossipAt(1), nil)
		if list := r.list(time.Now()); len(list) != 1 || list[0].Host != "new" {
			t.Errorf("got %v, want the new one by its name", list)
		}
	})
}

func TestWithoutANameRefusalsAreOfTheSource(t *testing.T) {
	r := newRefusals(noMember, zerolog.Nop())
	for port := range uint16(100) {
		r.refuse(OtherPool, "", netip.AddrPortFrom(gossipAt(1).Addr(), 1+port), nil)
	}
	if list := r.list(time.Now()); len(list) != 1 || list[0].From.Addr() != gossipAt(1).Addr() {
		t.Errorf("got %v, want one", list)
	}
}

func TestForeignMessagesAreLoggedBySource(t *testing.T) {
	var logged strings.Builder
	r := newRefusals(noMember, zerolog.New(&logged))
	lines := func(from string, times int) int {
		logged.Reset()
		for port := range times {
			r.refuse(OtherSecret, "", netip.AddrPortFrom(netip.MustParseAddr(from), uint16(port+1024)), errors.New("it has another secret"))
		}
		return strings.Count(logged.String(), `"level":"warn"`)
	}
	for _, row := range []struct {
		from string
		want int
	}{
		{"10.0.0.1", 1},
		{"10.0.0.1", 0},
		{"10.0.0.2", 1},
		{"fd00:0:0:1::1", 1},
		{"fd00:0:0:1::2", 0}, // one machine has a /64
		{"fd00:0:0:2::1", 1},
	} {
		if got := lines(row.from, 50); got != row.want {
			t.Errorf("%s: %d lines, want %d", row.from, got, row.want)
		}
	}
	all := 0
	for i := range 5000 {
		all += lines(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String(), 1)
	}
	if all > 64 { // loglimit bounds what it remembers
		t.Errorf("%d lines for 5000 sources", all)
	}
}

func TestForeignMessagesAreToldFromTheRest(t *testing.T) {
	for reason, want := range map[Reason]string{
		OtherSecret: "isn't of this gossip", OtherLabel: "isn't of this gossip", Unencrypted: "isn't of this gossip",
		Malformed: "message refused", TooFast: "message refused",
	} {
		for from, text := range map[string]string{"10.0.0.9:41234": "10.0.0.9:41234", "[::ffff:10.0.0.9]:7946": "10.0.0.9:7946", "[fd00::1]:0": "fd00::1"} {
			var logged strings.Builder
			newRefusals(noMember, zerolog.New(&logged)).refuse(reason, "", netip.MustParseAddrPort(from), errors.New("why"))
			if line := logged.String(); !strings.Contains(line, want) || !strings.Contains(line, `"from":"`+text+`"`) || !strings.Contains(line, "why") {
				t.Errorf("%s from %s: %s", reason, from, line)
			}
		}
	}
}

// noMember is at no address.
func noMember(at netip.AddrPort) (string, netip.AddrPort) { return "", at }

// TestARefusalNamesTheMemberThatHasSentIt: an operator looks for a host, not an address.
func TestARefusalNamesTheMemberThatHasSentIt(t *testing.T) {
	var logged strings.Builder
	from := netip.MustParseAddrPort("10.0.0.7:7946")
	r := newRefusals(func(at netip.AddrPort) (string, netip.AddrPort) {
		if at.Addr() == from.Addr() {
			return "host/ide-7", from
		}
		return "", at
	}, zerolog.New(&logged))
	r.refuse(OtherSecret, "", netip.AddrPortFrom(from.Addr(), 0), errors.New("why")) // on a stream
	r.refuse(OtherSecret, "", netip.MustParseAddrPort("10.0.0.8:7946"), errors.New("why"))
	all := r.list(time.Now())
	if len(all) != 2 || all[0].Host != "" || all[1].Host != "ide-7" || all[1].From != from {
		t.Errorf("got %+v", all)
	}
	if log := logged.String(); strings.Count(log, "missed the change of the secret") != 1 || !strings.Contains(log, `"member":"host/ide-7"`) {
		t.Errorf("logged %s", log)
	}
}
