package gossip

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"tokenring/gossip/announcement"
)

func TestWhichMembersAreCalled(t *testing.T) {
	addr := func(n int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 1) }
	members := map[string]Member{
		"alive": {Addr: addr(1)},
		"lost":  {Addr: addr(2), Lost: true},
		"left":  {Addr: addr(3), Lost: true, Metadata: announcement.Metadata{Leaving: true}},
	}
	calls := func(members map[string]Member, seeds ...netip.AddrPort) map[netip.AddrPort]int {
		count := map[netip.AddrPort]int{}
		for _, at := range addressesToCall(addr(9), []seed{{at: seeds}}, members) {
			count[at]++
		}
		return count
	}
	got := calls(members, addr(1), addr(4), addr(4), addr(9))
	for n, want := range map[int]int{1: 0, 2: 1, 3: 0, 4: 1, 9: 0} {
		if got[addr(n)] != want {
			t.Errorf("10.0.0.%d is called %d times, want %d", n, got[addr(n)], want)
		}
	}
	many := map[string]Member{}
	for n := 100; n < 200; n++ {
		many[addr(n).String()] = Member{Addr: addr(n), Lost: true}
	}
	if got := len(calls(many)); got != maxCalls {
		t.Errorf("of 100 lost members %d are called, want %d", got, maxCalls)
	}
}

func TestWhyAMemberDoesntAnswer(t *testing.T) {
	joining := func(err error) error {
		return fmt.Errorf("1 error occurred:\n\t* failed to join 10.0.0.9:7946: %v\n\n", err)
	}
	for _, row := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("look up x: %w", &net.DNSError{Err: "no such host", Name: "x"}), "its name can't be looked up: no such host"},
		{joining(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "nothing listens there: connection refused"},
		{joining(errors.New("no installed keys could decrypt the message")), "it has another secret"},
		{joining(io.EOF), "it closes the connection without an answer: it has another label, or isn't a member"},
		{joining(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}), "no answer in time: it is down, or a firewall is between (TCP and UDP are both needed)"},
		{joining(&net.OpError{Op: "dial", Err: syscall.ENETUNREACH}), "10.0.0.9:7946: dial: network is unreachable"},
	} {
		if got := noAnswerReason(row.err); got != row.want {
			t.Errorf("%v: %q, want %q", row.err, got, row.want)
		}
	}
}

func TestASeedIsReachedByOneOfItsAddresses(t *testing.T) {
	at := func(n byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 1) }
	refused := errors.New("refused")
	members := map[string]Member{"host/a": {Addr: at(1)}, "host/b": {Addr: at(2), Lost: true}}
	for name, row := range map[string]struct {
		s    seed
		want error
	}{
		"a living member":          {seed{at: []netip.AddrPort{at(1)}}, nil},
		"ourselves":                {seed{at: []netip.AddrPort{at(9)}}, nil},
		"one of two answers":       {seed{at: []netip.AddrPort{at(3), at(4)}}, nil},
		"a lost member":            {seed{at: []netip.AddrPort{at(2)}}, refused},
		"none of two answers":      {seed{at: []netip.AddrPort{at(2), at(3)}}, refused},
		"a name without addresses": {seed{err: refused}, refused},
	} {
		results := map[netip.AddrPort]error{at(2): refused, at(3): refused, at(4): nil}
		if got := row.s.outcome(at(9), members, results); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}
