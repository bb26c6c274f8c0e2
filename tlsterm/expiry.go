package tlsterm

import (
	"strings"
	"time"
)

// An Expiry says when a certificate expires, and whether it has a problem.
type Expiry struct {
	Names    []string  // empty: nothing of File is in use
	NotAfter time.Time // zero: there is no certificate for the names yet
	AlarmAt  time.Time // from then on Alarm warns of NotAfter
	File     string    // the certificate's file, or the file in which it is cached
	Problem  string    // why there is no certificate, or why a newer one isn't in use; "" if there is no problem
}

// The longest time between AlarmAt and NotAfter; see margin.
const (
	fileMargin = 14 * 24 * time.Hour // an operator has to replace the file
	acmeMargin = 7 * 24 * time.Hour  // the certificate should have been renewed weeks ago
)

// margin returns the time between AlarmAt and NotAfter: most, but at most a sixth of the
// lifetime.
func margin(lifetime, most time.Duration) time.Duration { return min(most, lifetime/6) }

func (c *certificate) expiry(most time.Duration) Expiry {
	lifetime := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)
	return Expiry{Names: c.names, NotAfter: c.Leaf.NotAfter, AlarmAt: c.Leaf.NotAfter.Add(-margin(lifetime, most)), File: c.file}
}

// Alarm returns an alarm for operators, in one sentence, if there is no certificate, if
// it has expired or expires soon, or if a newer one can't be used. Otherwise it
// returns "".
func (e Expiry) Alarm(now time.Time) string {
	what := ""
	switch {
	case len(e.Names) == 0 && strings.Contains(e.Problem, e.File): // a file that can't be used
		return e.Problem
	case len(e.Names) == 0:
		return "certificate " + e.File + ": " + e.Problem
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

// ReadPair reads a pair of files as New does, and returns the Expiry of the certificate.
// The error says why the pair can't be served, and names the file at fault.
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
