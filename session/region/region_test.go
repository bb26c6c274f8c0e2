package region

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/session"
)

func TestAKeyStaysWhereAPeerHasIt(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		wants(t, r, "k", "")
		s := r.Begin("lb-2")
		s.Reports([]session.Report{on("k", "ide-1", 2), on("l", "ide-2", 1)}) // they count before the snapshot is complete
		wants(t, r, "k", "ide-1 live lb-2")
		s.SnapshotEnd()
		wants(t, r, "k", "ide-1 live lb-2")
		s.Reports([]session.Report{on("k", "ide-3", 1)}) // it has moved
		wants(t, r, "k", "ide-3 live lb-2")
		if got := []int{r.Terminals("ide-1"), r.Terminals("ide-2"), r.Terminals("ide-3"), r.Terminals("ide-4")}; !slices.Equal(got, []int{0, 1, 1, 0}) {
			t.Errorf("%v terminals", got)
		}
		time.Sleep(24 * time.Hour)
		wants(t, r, "k", "ide-3 live lb-2")
	})
}

// TestASnapshotReplacesWhatAPeerHasToldBefore: what it doesn't name lingers from then on, also
// if the peer was away for a while, but not again and again.
func TestASnapshotReplacesWhatAPeerHasToldBefore(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		s := begin(r, "lb-2", on("k", "ide-1", 1), on("l", "ide-1", 1))
		s.End()
		time.Sleep(linger - time.Second)
		begin(r, "lb-2", on("l", "ide-2", 1)).End()
		wants(t, r, "l", "ide-2 lingers lb-2")
		time.Sleep(linger - time.Second)
		wants(t, r, "k", "ide-1 lingers lb-2")
		begin(r, "lb-2")
		time.Sleep(10 * time.Second)
		wants(t, r, "k", "")
		wants(t, r, "l", "ide-2 lingers lb-2")
	})
}

// TestPeersDisagree: all balancers that know the same choose the same.
// TestAPeerThatStartsAgainTakesNoKeyBack: its terminals ended with it, before the key was used
// elsewhere.
func TestAPeerThatStartsAgainTakesNoKeyBack(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		begin(r, "lb-2", on("k", "ide-1", 1)).End()
		time.Sleep(3 * time.Second)
		r.Used(digest("k"), "ide-2", time.Now())
		wants(t, r, "k", "ide-2 lingers")
		time.Sleep(3 * time.Second)
		begin(r, "lb-2")
		wants(t, r, "k", "ide-2 lingers")
	})
}

func TestPeersDisagree(t *testing.T) {
	for name, row := range map[string]struct {
		b, c, d session.Report
		want    string
	}{
		"the most terminals":                {on("k", "ide-2", 3), on("k", "ide-1", 2), closed("k"), "ide-2 live lb-2"},
		"the most terminals of all peers":   {on("k", "ide-2", 3), on("k", "ide-1", 2), on("k", "ide-1", 2), "ide-1 live lb-3"},
		"the first by name":                 {on("k", "ide-2", 2), on("k", "ide-1", 1), on("k", "ide-1", 1), "ide-1 live lb-3"},
		"a live one before a lingering one": {on("k", "ide-2", 1), on("k", "ide-1", 0), on("k", "ide-1", 0), "ide-2 live lb-2"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
				in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
					var streams []*Stream
					for _, peer := range []string{"lb-2", "lb-3", "lb-4"} {
						streams = append(streams, begin(r, peer))
					}
					for _, i := range order {
						streams[i].Reports([]session.Report{row.b, row.c, row.d}[i : i+1])
					}
					if r.Terminals("ide-1") == 4 || name == "the first by name" { // either peer may be named
						w, _ := r.Host(digest("k"), time.Now())
						row.want = "ide-1 live " + w.Peer
					}
					wants(t, r, "k", row.want)
				})
			}
		})
	}
}

func TestOnlySomeSessionsMayCount(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		begin(r, "lb-2", on("k", "ide-1", 3))
		begin(r, "lb-3", on("k", "ide-2", 1))
		r.Used(digest("k"), "ide-3", time.Now())
		for peers, want := range map[string]string{"lb-2 lb-3": "ide-1", "lb-3": "ide-2", "": "ide-3", "none": ""} {
			among := func(w Where) bool { return w.Live && strings.Contains(peers, w.Peer) || !w.Live && peers != "none" }
			if got, ok := r.HostAmong(digest("k"), time.Now(), among); got.Host != want || ok != (want != "") {
				t.Errorf("among those of %q: got %q, want %q", peers, got.Host, want)
			}
		}
	})
}

func TestSplitKeysAreCountedAndNamed(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, own *session.Sessions) {
		split := func(now int, total uint64) {
			t.Helper()
			if n, all := r.Splits(); n != now || all != total {
				t.Errorf("%d keys are split, %d have been; want %d and %d", n, all, now, total)
			}
			if (r.SplitAlarm() != "") != (now > 0) {
				t.Errorf("the alarm is %q", r.SplitAlarm())
			}
		}
		b, c := begin(r, "lb-2", on("k", "ide-1", 1)), begin(r, "lb-3", on("k", "ide-1", 1))
		split(0, 0)
		c.Reports([]session.Report{on("k", "ide-2", 1)})
		split(1, 1)
		want := "1 tokens have terminals on two hosts at once, such as " + digest("k").String() + " on ide-1 (lb-2) and ide-2 (lb-3)"
		if got := r.SplitAlarm(); !strings.HasPrefix(got, want) {
			t.Errorf("the alarm is %q", got)
		}
		c.End()
		split(0, 1)
		terminal := open(own, "k", "ide-3")
		r.Changed(digest("k"))
		split(1, 2)
		own.Remove(terminal)
		r.Changed(digest("k"))
		split(0, 2)
		open(own, "l", "ide-3")
		b.Reports([]session.Report{on("l", "ide-1", 1), on("m", "ide-1", 1)})
		split(1, 3)
		b.Reports([]session.Report{closed("l")})
		split(0, 3)
	})
}

// TestASplitThatLastsIsEnded on the host that the key doesn't keep.
func TestASplitThatLastsIsEnded(t *testing.T) {
	for name, row := range map[string]struct {
		own      int // terminals on ide-2
		peers    []session.Report
		keeps    string // hosts that keep sessions
		apart    bool   // lb-3 isn't connected
		wantEnds bool
	}{
		"most terminals are elsewhere":        {own: 1, peers: []session.Report{on("k", "ide-3", 2)}, keeps: "ide-2 ide-3", wantEnds: true},
		"most terminals are here":             {own: 2, peers: []session.Report{on("k", "ide-1", 1)}, keeps: "ide-1 ide-2"},
		"two peers have more together":        {own: 2, peers: []session.Report{on("k", "ide-3", 1), on("k", "ide-3", 2)}, keeps: "ide-2 ide-3", wantEnds: true},
		"a peer has the same host":            {own: 1, peers: []session.Report{on("k", "ide-3", 1), on("k", "ide-2", 1)}, keeps: "ide-2 ide-3"},
		"equal, and the other is first":       {own: 1, peers: []session.Report{on("k", "ide-1", 1)}, keeps: "ide-1 ide-2", wantEnds: true},
		"equal, and this one is first":        {own: 1, peers: []session.Report{on("k", "ide-3", 1)}, keeps: "ide-2 ide-3"},
		"the host elsewhere is down":          {own: 1, peers: []session.Report{on("k", "ide-3", 5)}, keeps: "ide-2"},
		"the host here is down":               {own: 5, peers: []session.Report{on("k", "ide-3", 1)}, keeps: "ide-3", wantEnds: true},
		"both are down":                       {own: 1, peers: []session.Report{on("k", "ide-3", 5)}},
		"a peer doesn't hear this one":        {own: 1, peers: []session.Report{on("k", "ide-1", 1), on("k", "ide-1", 1)}, keeps: "ide-1 ide-2", apart: true},
		"peers are split, and this has none":  {peers: []session.Report{on("k", "ide-1", 1), on("k", "ide-3", 2)}, keeps: "ide-1 ide-3"},
		"all are on one host, so there is no": {own: 1, peers: []session.Report{on("k", "ide-2", 1)}, keeps: "ide-2"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, linger, func(t *testing.T, r *Region, own *session.Sessions) {
				for range row.own {
					open(own, "k", "ide-2")
				}
				for i, report := range row.peers {
					begin(r, []string{"lb-2", "lb-3"}[i], report)
				}
				rules := SplitRules{
					Keeps:     func(host, _ string) bool { return strings.Contains(row.keeps, host) },
					Connected: func(peer string) bool { return peer != "lb-3" || !row.apart },
				}
				time.Sleep((splitPatience - 1) * time.Second)
				if keys := r.ToEnd(time.Now(), rules); len(keys) != 0 {
					t.Errorf("too soon: %v", keys)
				}
				time.Sleep(time.Second)
				if keys := r.ToEnd(time.Now(), rules); (len(keys) == 1) != row.wantEnds {
					t.Errorf("got %v, want it to end: %t", keys, row.wantEnds)
				}
			})
		})
	}
}

// TestWhatIsNotUsedIsGivenBack: peers and hosts come and go for years.
func TestWhatIsNotUsedIsGivenBack(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		for i := range 20 {
			begin(r, fmt.Sprint("lb-", i), on("k", fmt.Sprint("ide-", i), 1), on(fmt.Sprint(i), "ide-0", 1)).End()
			time.Sleep(linger + 20*time.Second)
			for range 2 {
				time.Sleep(sweepPeriod)
				r.sweep(time.Now())
			}
			counted(t, r)
		}
		if peers, hosts := len(*r.peers.Load()), r.names.size(); peers > 2 || hosts > 5 {
			t.Errorf("there is room for %d peers and %d hosts", peers, hosts)
		}
	})
}

func TestRunSweeps(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		r.Used(digest("k"), "ide-1", time.Now())
		go func() { _ = r.Run(t.Context()) }()
		time.Sleep(linger + 2*sweepPeriod)
		synctest.Wait()
		if r.Count() != 0 {
			t.Errorf("%d keys linger", r.Count())
		}
	})
}

func TestHoldersBeginWithTheOneThatCounts(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		start := time.Now().UTC()
		r.Used(digest("k"), "ide-3", time.Now())
		time.Sleep(time.Minute)
		begin(r, "lb-2", on("k", "ide-2", 1))
		time.Sleep(time.Minute)
		begin(r, "lb-3", on("k", "ide-1", 1))
		want := []Where{
			{"ide-1", true, "lb-3", start.Add(2 * time.Minute)},
			{"ide-2", true, "lb-2", start.Add(time.Minute)},
			{"ide-3", false, "", start},
		}
		got := r.Holders(digest("k"), time.Now())
		for i := range got {
			got[i].Since = got[i].Since.UTC()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}
