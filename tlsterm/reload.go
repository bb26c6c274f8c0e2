package tlsterm

import (
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// A pairState holds one pair of files and the certificates read from it.
type pairState struct {
	Pair
	seen    [2]stamp     // of the files when they were last read
	cert    *certificate // the one in use
	next    *certificate // the content of the files while it isn't in use; otherwise nil
	problem string       // why the content of the files isn't in use
	missed  bool         // by the last scan of the directory that it is in
	warned  urgency      // the urgency of cert that the log, or the caller of New, knows already
}

// newPairState reads the pair. It accepts an expired certificate, since there is no
// other.
func newPairState(p Pair) (*pairState, error) {
	state := &pairState{Pair: p, seen: p.stamps()}
	var err error
	if state.cert, err = loadPair(p); err != nil {
		return nil, err
	}
	state.warned = state.cert.urgency(time.Now())
	return state, nil
}

// stamps returns the stamps of both files. The caller reads the files after that, so that
// a change in between is seen as another change the next time.
func (p Pair) stamps() [2]stamp { return [2]stamp{stampOf(p.Cert), stampOf(p.Key)} }

// refresh reads the files if they have changed since the last time, and reports whether
// p.cert or p.problem has changed. The old pair stays if the new files can't be used or
// clients would lose by them. covered reports whether another certificate is for a name.
func (p *pairState) refresh(log zerolog.Logger, covered func(name string) bool) (changed bool) {
	if stamps := p.stamps(); stamps != p.seen {
		p.seen, p.next, p.problem = stamps, nil, ""
		next, err := loadPair(p.Pair)
		if err != nil {
			p.keep(log, err.Error())
			return true
		}
		p.next = next
	}
	if p.next == nil {
		return false
	}
	switch why := p.cert.whyKeep(p.next, covered); {
	case why == "":
		p.use(log)
	case why == p.problem:
		return false
	default:
		p.keep(log, why)
	}
	return true
}

// keep records and logs why the content of the files isn't used.
func (p *pairState) keep(log zerolog.Logger, why string) {
	p.problem = why
	log.Error().Str("why", why).Str("file", p.Cert).Strs("names", p.cert.names).Time("not_after", p.cert.Leaf.NotAfter).
		Msg("changed certificate isn't used, the old one stays")
}

// use makes the content of the files the certificate in use.
func (p *pairState) use(log zerolog.Logger) {
	p.cert, p.next, p.problem, p.warned = p.next, nil, "", valid
	log.Info().Str("file", p.Cert).Strs("names", p.cert.names).Time("not_after", p.cert.Leaf.NotAfter).Msg("certificate reloaded")
}

// whyKeep returns why c must not be replaced by next, or "" if it may: clients would get
// a certificate that they refuse. An expired certificate may always be replaced. A
// certificate that isn't valid yet is used when it becomes valid.
func (c *certificate) whyKeep(next *certificate, covered func(name string) bool) string {
	now := time.Now()
	if c.invalid(now) != "" {
		return ""
	}
	if why := next.invalid(now); why != "" {
		return why
	}
	for _, name := range c.names {
		if !next.covers(name) && !covered(name) {
			return "it isn't for " + name + ", and the certificate in use is; a restart uses the file nevertheless"
		}
	}
	return ""
}

func (p *pairState) expiry() Expiry {
	e := p.cert.expiry(fileMargin)
	if p.problem != "" {
		e.Problem = "the changed file isn't used: " + p.problem
	}
	return e
}

// An urgency says how near the expiry of a certificate is.
type urgency int

const (
	valid urgency = iota
	expiring
	expired
)

func (c *certificate) urgency(now time.Time) urgency {
	switch e := c.expiry(fileMargin); {
	case !now.Before(e.NotAfter):
		return expired
	case !now.Before(e.AlarmAt):
		return expiring
	}
	return valid
}

// warn logs once that the certificate in use expires soon, and once that it has expired.
func (p *pairState) warn(log zerolog.Logger) {
	is := p.cert.urgency(time.Now())
	if is <= p.warned {
		return
	}
	p.warned = is
	message := "certificate expires soon"
	if is == expired {
		message = "certificate has expired"
	}
	log.Warn().Str("file", p.Cert).Strs("names", p.cert.names).Time("not_after", p.cert.Leaf.NotAfter).Msg(message)
}

// A stamp changes when a file changes. A file that can't be read has the zero stamp.
type stamp struct {
	modified, changed time.Time
	size              int64
	inode             uint64
}

// stampOf returns the stamp of a file. It follows symbolic links, so that the change of a
// link is a change of the file.
func stampOf(file string) stamp {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	s := stamp{modified: info.ModTime(), size: info.Size()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode, s.changed = sys.Ino, time.Unix(sys.Ctim.Unix())
	}
	return s
}
