package region

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/session"
)

// TestAKeyLingersAfterItsLastTerminal, whatever ends it, and no longer than the linger time.
func TestAKeyLingersAfterItsLastTerminal(t *testing.T) {
	for name, end := range map[string]func(*Region, *Stream){
		"the peer says that none is left":  func(_ *Region, s *Stream) { s.Reports([]session.Report{closed("k")}) },
		"the peer says that it lingers":    func(_ *Region, s *Stream) { s.Reports([]session.Report{on("k", "ide-1", 0)}) },
		"the stream ends":                  func(_ *Region, s *Stream) { s.End(); s.Reports([]session.Report{on("k", "ide-2", 1)}) },
		"another stream begins":            func(r *Region, _ *Stream) { r.Begin("lb-2") },
		"another stream doesn't tell it":   func(r *Region, s *Stream) { s.End(); begin(r, "lb-2", on("l", "ide-1", 1)) },
		"the sessions are those of a peer": func(r *Region, s *Stream) { s.End(); begin(r, "lb-3", closed("k")) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
				s := begin(r, "lb-2", on("k", "ide-1", 1))
				time.Sleep(time.Hour)
				end(r, s)
				wants(t, r, "k", "ide-1 lingers lb-2")
				time.Sleep(linger)
				wants(t, r, "k", "ide-1 lingers lb-2")
				time.Sleep(2 * time.Second)
				wants(t, r, "k", "")
				r.sweep(time.Now())
				wants(t, r, "k", "")
				if n := r.Count(); n != 0 {
					t.Errorf("%d keys linger after the sweep", n)
				}
			})
		})
	}
}

func TestAUsedKeyLingers(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		r.Used(digest("k"), "ide-1", time.Now())
		time.Sleep(linger - time.Second)
		wants(t, r, "k", "ide-1 lingers")
		r.Used(digest("k"), "ide-1", time.Now())
		time.Sleep(linger)
		wants(t, r, "k", "ide-1 lingers")
		r.Used(digest("k"), "ide-2", time.Now()) // its host was down
		wants(t, r, "k", "ide-2 lingers")
		time.Sleep(linger + 2*time.Second)
		wants(t, r, "k", "")
	})
}

// TestTheLastUseOfALingeringKeyWins, whoever tells it, and in which order.
func TestTheLastUseOfALingeringKeyWins(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		used := func(host string, age uint32) session.Report {
			report := on("k", host, 0)
			report.Age = age
			return report
		}
		time.Sleep(time.Minute)
		r.Used(digest("k"), "ide-1", time.Now().Add(-30*time.Second))
		s := begin(r, "lb-2", used("ide-2", 40))
		wants(t, r, "k", "ide-1 lingers")
		s.Reports([]session.Report{used("ide-3", 20)})
		wants(t, r, "k", "ide-3 lingers lb-2")
		begin(r, "lb-3", used("ide-0", 20)) // of equal ones the first by name
		wants(t, r, "k", "ide-0 lingers lb-3")
		s.Reports([]session.Report{used("ide-4", uint32(linger/time.Second)+2)})
		wants(t, r, "k", "ide-0 lingers lb-3")
		s.Reports([]session.Report{on("k", "ide-5", 1)}) // a live session goes before all
		wants(t, r, "k", "ide-5 live lb-2")
	})
}

// TestALateEndTakesNoKeyBack: the host of a terminal was gone, which was noticed late, and the
// user has been on another host meanwhile, through this balancer or another one.
func TestALateEndTakesNoKeyBack(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		time.Sleep(time.Hour)
		gone := time.Now()
		time.Sleep(20 * time.Second)
		r.Used(digest("here"), "ide-2", time.Now())
		there := on("there", "ide-2", 0)
		there.Age = 1
		begin(r, "lb-2", there)
		time.Sleep(10 * time.Second)
		for _, key := range []string{"here", "there", "nowhere"} {
			r.Left(digest(key), "ide-1", gone, time.Now())
		}
		wants(t, r, "here", "ide-2 lingers")
		wants(t, r, "there", "ide-2 lingers lb-2")
		wants(t, r, "nowhere", "ide-1 lingers")
		r.Left(digest("here"), "ide-1", time.Now(), time.Now()) // bytes have moved there since
		wants(t, r, "here", "ide-1 lingers")
	})
}

// TestBalancersAgreeOnTheLastUse: each has used the key on another host, and the last use isn't
// told, because the balancer has told one lately.
func TestBalancersAgreeOnTheLastUse(t *testing.T) {
	in(t, linger, func(t *testing.T, a *Region, _ *session.Sessions) {
		b := New(linger, session.New())
		ofA, ofB := a.Watch(), b.Watch()
		defer ofA.Close()
		defer ofB.Close()
		toA, toB := a.Begin("b"), b.Begin("a")
		tell := func() {
			for range 5 { // until nobody has anything to tell
				for w, to := range map[*session.Watch]*Stream{ofA: toB, ofB: toA} {
					if reports, err := waitFor(t, w, time.Millisecond); err == nil {
						to.Reports(reports)
					}
				}
			}
		}
		a.Used(digest("k"), "ide-1", time.Now())
		tell()
		time.Sleep(20 * time.Second)
		b.Used(digest("k"), "ide-2", time.Now())
		time.Sleep(10 * time.Second)
		a.Used(digest("k"), "ide-1", time.Now())
		tell()
		wants(t, a, "k", "ide-1 lingers")
		wants(t, b, "k", "ide-1 lingers a")
	})
}

// TestAPeerMayTellASecondUseInOneSecond on another host, because the first one has failed.
func TestAPeerMayTellASecondUseInOneSecond(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		s := begin(r, "lb-2", on("k", "ide-1", 0))
		s.Reports([]session.Report{on("k", "ide-2", 0)})
		wants(t, r, "k", "ide-2 lingers lb-2")
	})
}

func TestWithoutLingeringOnlyLiveKeysStay(t *testing.T) {
	in(t, 0, func(t *testing.T, r *Region, _ *session.Sessions) {
		r.Used(digest("u"), "ide-1", time.Now())
		wants(t, r, "u", "")
		s := begin(r, "lb-2", on("k", "ide-1", 1), on("l", "ide-1", 1), on("m", "ide-1", 1), on("u", "ide-1", 0))
		wants(t, r, "u", "")
		s.Reports([]session.Report{closed("k")})
		wants(t, r, "k", "")
		s.End() // it is opened again at once: no token moves for that
		wants(t, r, "l", "ide-1 lingers lb-2")
		begin(r, "lb-2", on("m", "ide-1", 1)).End()
		wants(t, r, "l", "")
		wants(t, r, "m", "ide-1 lingers lb-2")
		time.Sleep((reconnect + 1) * time.Second)
		wants(t, r, "m", "")
	})
}

// TestTerminalsWithoutATokenDoNotLinger: nobody comes back with their keys.
func TestTerminalsWithoutATokenDoNotLinger(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		none := func(key string) session.Report {
			return session.Report{Digest: digest(key), Host: "ide-1", Terminals: 1}
		}
		s := begin(r, "lb-2", none("1"), none("2"))
		if r.Terminals("ide-1") != 2 {
			t.Errorf("%d terminals", r.Terminals("ide-1"))
		}
		s.Reports([]session.Report{closed("1")})
		wants(t, r, "1", "")
		s.End()
		wants(t, r, "2", "")
		if r.keys.Load() != 0 {
			t.Errorf("%d keys are left", r.keys.Load())
		}
	})
}

func TestTheLeastRecentlyUsedKeysAreForgotten(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		same := func(i int) balancer.Digest { return balancer.Digest{7, byte(i), byte(i >> 8), 1} } // all in one shard
		for i := range maxNodes {
			r.Used(same(i), "ide-1", time.Now())
		}
		time.Sleep(time.Second)
		r.Used(same(0), "ide-1", time.Now())
		r.Used(same(maxNodes), "ide-1", time.Now())
		for i, want := range map[int]bool{0: true, 1: false, 2: true, maxNodes: true} {
			if _, ok := r.Host(same(i), time.Now()); ok != want {
				t.Errorf("the key %d lingers: %t", i, ok)
			}
		}
		if r.Count() != maxNodes {
			t.Errorf("%d keys, want %d", r.Count(), maxNodes)
		}
		counted(t, r)
		r.sweep(time.Now().Add(linger + time.Minute))
		counted(t, r)
		if r.Count() != 0 {
			t.Errorf("%d keys are left", r.Count())
		}
	})
}

// TestPeersAreToldAUse: at once, and again after a minute, but not of each request.
func TestPeersAreToldAUse(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, own *session.Sessions) {
		r.Used(digest("before"), "ide-1", time.Now())
		begin(r, "lb-2", on("lost", "ide-2", 1)).End()
		time.Sleep(5 * time.Second)
		w := r.Watch()
		defer w.Close()
		told := func(want ...session.Report) {
			t.Helper()
			var got []session.Report
			for w.Pending() > 0 {
				some, err := w.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, some...)
				if w.Snapshot() && len(some) == w.Pending() {
					break
				}
			}
			order := func(a, b session.Report) int { return strings.Compare(a.Digest.String(), b.Digest.String()) }
			slices.SortFunc(got, order)
			slices.SortFunc(want, order)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		}
		lingers := func(token, host string, age uint32) session.Report {
			return session.Report{Digest: digest(token), Host: host, Age: age}
		}
		told(lingers("before", "ide-1", 5), lingers("lost", "ide-2", 6)) // what others have told is rounded up
		r.Used(digest("k"), "ide-1", time.Now())
		told(lingers("k", "ide-1", 0))
		for range 50 {
			time.Sleep(time.Second)
			r.Used(digest("k"), "ide-1", time.Now())
		}
		next, err := waitFor(t, w, time.Second)
		if err == nil {
			t.Errorf("told again within a minute: %+v", next)
		}
		time.Sleep(10 * time.Second)
		r.Used(digest("k"), "ide-1", time.Now())
		told(lingers("k", "ide-1", 0))
		r.Used(digest("k"), "ide-2", time.Now()) // another host is told at once
		told(lingers("k", "ide-2", 0))
		terminal := open(own, "k", "ide-2")
		told(session.Report{Digest: digest("k"), Host: "ide-2", Terminals: 1})
		own.Remove(terminal)
		told(lingers("k", "ide-2", 0))
	})
}

// TestADisplacedKeyDoesNotComeBack: in one second a terminal ends with its host, and a peer uses the
// key on another host. The first one is back later.
func TestADisplacedKeyDoesNotComeBack(t *testing.T) {
	in(t, linger, func(t *testing.T, r *Region, _ *session.Sessions) {
		peer := begin(r, "lb-2")
		r.Used(digest("a"), "ide-1", time.Now())
		r.Displaced(digest("a"), "ide-2") // it doesn't linger there
		wants(t, r, "a", "ide-1 lingers")
		r.Displaced(digest("a"), "ide-1")
		r.Displaced(digest("a"), "ide-1")
		wants(t, r, "a", "")
		peer.Reports([]session.Report{on("a", "ide-4", 0)})
		wants(t, r, "a", "ide-4 lingers lb-2")
	})
}
