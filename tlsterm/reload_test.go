package tlsterm

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/testlog"
)

const day = 24 * time.Hour

// TestAReloadNeverReplacesAValidCertificateByAWorseOne tries files that an operator may
// have put there by mistake, and that clients would refuse.
func TestAReloadNeverReplacesAValidCertificateByAWorseOne(t *testing.T) {
	for _, row := range []struct {
		name     string
		from, to time.Duration // of the new certificate, from now
		names    string
		why      string // "" if it is used
	}{
		{"as good", -time.Hour, 90 * day, "ide.example.com a.example.com", ""},
		{"for more names", -time.Hour, 90 * day, "ide.example.com a.example.com b.example.com", ""},
		{"for all names below", -time.Hour, 90 * day, "*.example.com", ""},
		{"ends earlier", -time.Hour, time.Hour, "ide.example.com a.example.com", ""},
		{"expired", -90 * day, -time.Minute, "ide.example.com a.example.com", "it has expired on 1999-12-31 23:59 UTC"},
		{"not valid yet", time.Hour, 90 * day, "ide.example.com a.example.com", "it isn't valid before 2000-01-01 01:00 UTC"},
		{"for another site", -time.Hour, 90 * day, "www.example.org", "it isn't for ide.example.com"},
		{"for a name less", -time.Hour, 90 * day, "ide.example.com", "it isn't for a.example.com"},
		{"a wildcard one label too deep", -time.Hour, 90 * day, "*.ide.example.com", "it isn't for ide.example.com"},
		{"the name less has another pair", -time.Hour, 90 * day, "ide.example.com a.example.com", ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			p := newPair(t, dir, "a", "ecdsa", "ide.example.com", "a.example.com", "other.example.com")
			other := newPair(t, dir, "b", "ecdsa", "other.example.com")
			old := leafOf(t, p.Cert)
			running(t, Config{Terms: Terms{Certificates: []Pair{p, other}}}, func(s *Source, book *testlog.Buffer) {
				dated(t, p, row.from, row.to, strings.Fields(row.names)...)
				time.Sleep(10 * pollFiles)
				used := !seenBy(t, s, "ide.example.com").Equal(old)
				e := s.Expiries()[0]
				if used != (row.why == "") || !strings.Contains(e.Problem, row.why) || (e.Problem == "") != used {
					t.Errorf("%s: used is %v, the problem %q; want %q", row.name, used, e.Problem, row.why)
				}
				if got, want := strings.Count(book.String(), "isn't used, the old one stays")+strings.Count(book.String(), "certificate reloaded"), 1; got != want {
					t.Errorf("%s: %d log lines, want %d", row.name, got, want)
				}
				if alarm := e.Alarm(time.Now()); (alarm == "") != used && row.name != "ends earlier" {
					t.Errorf("%s: the alarm is %q", row.name, alarm)
				}
			})
		})
	}
}

func TestACertificateThatIsntValidYetIsUsedWhenItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
		running(t, Config{Terms: Terms{Certificates: []Pair{p}}}, func(s *Source, _ *testlog.Buffer) {
			dated(t, p, time.Hour, 90*day, "ide.example.com")
			next := leafOf(t, p.Cert)
			time.Sleep(59 * time.Minute)
			if seenBy(t, s, "ide.example.com").Equal(next) {
				t.Error("it is used before browsers take it")
			}
			time.Sleep(2 * time.Minute)
			if !seenBy(t, s, "ide.example.com").Equal(next) || s.Expiries()[0].Problem != "" {
				t.Errorf("it isn't used: %s", s.Expiries()[0].Problem)
			}
		})
	})
}

// Browsers refuse an expired certificate, so any other is better.
func TestAnExpiredCertificateIsReplacedByAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
		dated(t, p, -time.Hour, time.Hour, "ide.example.com")
		running(t, Config{Terms: Terms{Certificates: []Pair{p}}}, func(s *Source, _ *testlog.Buffer) {
			dated(t, p, -time.Hour, 90*day, "www.example.org")
			next := leafOf(t, p.Cert)
			time.Sleep(time.Minute)
			if seenBy(t, s, "ide.example.com").Equal(next) {
				t.Error("the valid one for the name has gone")
			}
			time.Sleep(time.Hour)
			if !seenBy(t, s, "ide.example.com").Equal(next) {
				t.Error("the expired one is still served")
			}
		})
	})
}

// A certificate that browsers refuse isn't used if there is another one, whatever their
// order and kinds of keys.
func TestAValidCertificateIsPreferred(t *testing.T) {
	const name = "ide.example.com"
	for _, row := range []struct {
		what               string
		first, second      string // what the pairs are for
		from, to           time.Duration
		before, afterwards string // which pair is shown, before and after two hours
	}{
		{"the first expires", name, name, -time.Hour, time.Hour, "a", "b"},
		{"the first has expired", name, name, -2 * time.Hour, -time.Hour, "b", "b"},
		{"the first isn't valid yet", name, name, time.Hour, 90 * day, "b", "a"},
		{"the one with the name expires, and a wildcard is valid", name, "*.example.com", -time.Hour, time.Hour, "a", "b"},
		{"the wildcard expires", "*.example.com", "*.example.com", -time.Hour, time.Hour, "a", "b"},
		{"there is no other", name, "www.example.org", -time.Hour, time.Hour, "a", "a"},
	} {
		t.Run(row.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				a, b := newPair(t, dir, "a", "ecdsa", row.first), newPair(t, dir, "b", "rsa", row.second)
				dated(t, a, row.from, row.to, row.first)
				running(t, Config{Terms: Terms{Certificates: []Pair{a, b}}}, func(s *Source, _ *testlog.Buffer) {
					for _, want := range []string{row.before, row.afterwards} {
						for _, asked := range []string{name, "unknown.example.net"} {
							if asked != name && row.first != row.second {
								continue // the second pair isn't for the first's names
							}
							if got := seenBy(t, s, asked); !got.Equal(leafOf(t, filepath.Join(dir, want+".crt"))) {
								t.Errorf("at %v, %s: got the certificate for %v until %v, want %s", time.Now(), asked, got.DNSNames, got.NotAfter, want)
							}
						}
						time.Sleep(2 * time.Hour)
					}
				})
			})
		})
	}
}

func TestExpiryIsLoggedInAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
		dated(t, p, -2*time.Hour, 4*time.Hour, "ide.example.com")
		running(t, Config{Terms: Terms{Certificates: []Pair{p}}}, func(s *Source, book *testlog.Buffer) {
			for _, row := range []struct {
				after         time.Duration
				soon, expired int
				alarm         string
			}{
				{179 * time.Minute, 0, 0, ""}, // the last sixth of its life begins after 180
				{2 * time.Minute, 1, 0, "certificate " + p.Cert + " for ide.example.com: it expires on 2000-01-01 04:00 UTC"},
				{58 * time.Minute, 1, 0, "it expires on"},
				{2 * time.Minute, 1, 1, "it has expired on 2000-01-01 04:00 UTC, and browsers refuse it"},
				{time.Hour, 1, 1, "it has expired on"},
			} {
				time.Sleep(row.after)
				alarm := s.Expiries()[0].Alarm(time.Now())
				if !strings.Contains(alarm, row.alarm) || (alarm == "") != (row.alarm == "") {
					t.Errorf("at %v: the alarm is %q, want %q", time.Now(), alarm, row.alarm)
				}
				if soon, expired := strings.Count(book.String(), "expires soon"), strings.Count(book.String(), "has expired"); soon != row.soon || expired != row.expired {
					t.Errorf("at %v: the log says %d times soon, %d times expired", time.Now(), soon, expired)
				}
			}
			seenBy(t, s, "ide.example.com") // it is still served
		})
	})
}

// An expired certificate is better than none, and the caller of New reads the expiries
// anyway.
func TestAStartWithAnExpiredCertificateIsNoError(t *testing.T) {
	p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
	dated(t, p, -2*time.Hour, -time.Hour, "ide.example.com")
	s, err := New(Config{Terms: Terms{Certificates: []Pair{p}}}, zerolog.Nop())
	if err != nil || !strings.Contains(s.Expiries()[0].Alarm(time.Now()), "has expired") {
		t.Errorf("got %v", err)
	}
}

func TestAlarmsOfCertificates(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	end := func(left time.Duration, most time.Duration, life time.Duration) Expiry {
		return Expiry{Names: []string{"a", "b"}, File: "ide.crt", NotAfter: now.Add(left), AlarmAt: now.Add(left - margin(life, most))}
	}
	failing := end(80*day, fileMargin, 90*day)
	failing.Problem = "the key is gone"
	for _, row := range []struct {
		name string
		e    Expiry
		want string
	}{
		{"15 days left", end(15*day, fileMargin, 90*day), ""},
		{"14 days left", end(14*day, fileMargin, 90*day), "certificate ide.crt for a, b: it expires on 2026-03-15 12:00 UTC"},
		{"ACME, 14 days left", end(14*day, acmeMargin, 90*day), ""},
		{"ACME, 7 days left", end(7*day, acmeMargin, 90*day), "certificate ide.crt for a, b: it expires on 2026-03-08 12:00 UTC"},
		{"a life of a week, a day more than a sixth left", end(50*time.Hour, fileMargin, 7*day), ""},
		{"a life of a week, a sixth left", end(28*time.Hour, fileMargin, 7*day), "certificate ide.crt for a, b: it expires on 2026-03-02 16:00 UTC"},
		{"the very end", end(0, fileMargin, 90*day), "certificate ide.crt for a, b: it has expired on 2026-03-01 12:00 UTC, and browsers refuse it"},
		{"a newer one can't be used", failing, "certificate ide.crt for a, b: the key is gone"},
		{"none", Expiry{Names: []string{"a"}, File: "acme/a", Problem: "not issued yet"}, "certificate acme/a for a: there is none yet; not issued yet"},
	} {
		if got := row.e.Alarm(now); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

func TestReadPairReturnsTheExpiry(t *testing.T) {
	dir := t.TempDir()
	p := Pair{Cert: filepath.Join(dir, "a.crt"), Key: filepath.Join(dir, "a.key")}
	dated(t, p, time.Hour, 90*day, "ide.example.com")
	e, err := ReadPair(p)
	if err != nil || !strings.Contains(e.Alarm(time.Now()), "isn't valid before") || !e.NotAfter.Equal(leafOf(t, p.Cert).NotAfter) {
		t.Errorf("got %+v, %v", e, err)
	}
}

// ACME renews weeks in advance, so the alarm for its certificates comes later than that
// for files.
func TestAnACMECertificateRaisesAnAlarmAWeekInAdvance(t *testing.T) {
	p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
	dated(t, p, -80*day, 10*day, "ide.example.com")
	c, err := loadPair(p)
	if err != nil {
		t.Fatal(err)
	}
	d := domainState{domain: "ide.example.com"}
	d.update(c.Certificate, "", "cache/ide.example.com")
	for days, want := range map[time.Duration]bool{0: false, 2: false, 4: true} {
		if got := d.expiry("cache/ide.example.com").Alarm(time.Now().Add(days * day)); (got != "") != want {
			t.Errorf("%d days from now: got %q", days, got)
		}
	}
}
