package tlsterm

import (
	"strings"
	"time"
)

// An Expiry tells how long a certificate lasts, and what is wrong with it.
type Expiry struct {
	Names    []string
	NotAfter time.Time // zero: there is no certificate for the names yet
	AlarmAt  time.Time // from when on the end is so near that somebody has to see to it
	File     string    // the certificate's file, or where it is cached
	Problem  string    // why there is none, or why a newer one isn't in use; "" is well
}

// How long before its end a certificate is an alarm, at the most; see margin.
const (
	fileMargin = 14 * 24 * time.Hour // somebody has to put a new one there
	acmeMargin = 7 * 24 * time.Hour  // it should have been renewed weeks ago
)

// margin returns how long before its end a certificate is an alarm: most, or less
// if its whole life is so short that most would be a large part of it.
func margin(lifetime, most time.Duration) time.Duration { return min(most, lifetime/6) }

func (c *certificate) expiry(most time.Duration) Expiry {
	lifetime := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)
	return Expiry{Names: c.names, NotAfter: c.Leaf.NotAfter, AlarmAt: c.Leaf.NotAfter.Add(-margin(lifetime, most)), File: c.file}
}

// Alarm says in one sentence what somebody has to see to, "" if it is nothing: there
// is no certificate, it has ended or ends soon, or a newer one can't be used.
func (e Expiry) Alarm(now time.Time) string {
	what := ""
	switch {
	case e.NotAfter.IsZero():
		what = "there is none yet"
	case !now.Before(e.NotAfter):
		what = "it has expired on " + date(e.NotAfter) + ", and browsers refuse it"
	case !now.Before(e.AlarmAt):
		what = "it expires on " + date(e.NotAfter)
	case e.Problem == "":
		return ""
	}
	return "certificate " + e.File + " for " + strings.Join(e.Names, ", ") + ": " + join(what, e.Problem)
}

// ReadPair reads a pair of files as New does, and returns how long the certificate
// lasts. The error says why they can't be served, and names the file that is to
// blame.
func ReadPair(p Pair) (Expiry, error) {
	c, err := loadPair(p)
	if err != nil {
		return Expiry{}, err
	}
	e := c.expiry(fileMargin)
	if now := time.Now(); now.Before(c.Leaf.NotBefore) {
		e.Problem = c.invalid(now)
	}
	return e, nil
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
