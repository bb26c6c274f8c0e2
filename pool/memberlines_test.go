package pool

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestKnocksAreToldFromTheRest(t *testing.T) {
	for line, want := range map[string]string{
		`failed to receive: no installed keys could decrypt the message from=10.0.0.9:41234`:            "10.0.0.9 it has another secret",
		`Decrypt packet failed: no installed keys could decrypt the message from=10.0.0.9:7946`:         "10.0.0.9 it has another secret",
		`discarding stream with unacceptable label "x from=1.2.3.4:5": from=[fd00::1]:7946`:             "fd00::1 it has another label",
		`discarding packet with unacceptable label "": from=[::ffff:10.0.0.9]:7946`:                     "10.0.0.9 it has another label",
		`failed to receive: encryption is configured but remote state is not encrypted from=10.0.0.9:1`: "10.0.0.9 it has no secret",
		`discarding packet with unacceptable label "x": from=<unknown address>`:                         "",
		`Push/Pull with ide-1 failed: dial tcp 10.0.0.9:7946: i/o timeout`:                              "",
	} {
		got := ""
		if from, why, ok := knock(line); ok {
			got = from.String() + " " + why
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func TestKnocksAreLoggedBySource(t *testing.T) {
	var logged strings.Builder
	l := &logLines{log: zerolog.New(&logged), calls: context.Background(), quiet: newQuiet()}
	knocks := func(from string, times int) int {
		logged.Reset()
		for port := range times {
			fmt.Fprintf(l, "[ERR] memberlist: failed to receive: no installed keys could decrypt the message from=%s\n",
				netip.AddrPortFrom(netip.MustParseAddr(from), uint16(port+1024)))
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
		if got := knocks(row.from, 50); got != row.want {
			t.Errorf("%s: %d lines, want %d", row.from, got, row.want)
		}
	}
	lines := 0
	for i := range 5000 {
		lines += knocks(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String(), 1)
	}
	if lines > maxRepeats || len(l.knocks.all) > maxRepeats+1 {
		t.Errorf("%d lines for 5000 sources, %d remembered", lines, len(l.knocks.all))
	}
}
