package tlsterm

import (
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// A pairState is one pair of files and what came of them.
type pairState struct {
	Pair
	seen    [2]stamp     // of the files when they were last read
	cert    *certificate // the one in use
	next    *certificate // what the files hold, while cert is better; else nil
	problem string       // why the files as seen aren't in use
	told    urgency      // what the log, or whoever started us, knows of the end of cert
}

// newPairState reads the pair. An expired one is taken: there is no better one.
func newPairState(p Pair) (*pairState, error) {
	state := &pairState{Pair: p, seen: p.stamps()}
	var err error
	if state.cert, err = loadPair(p); err != nil {
		return nil, err
	}
	state.told = state.cert.urgency(time.Now())
	return state, nil
}

// stamps are taken before the files are read: a change in between shows as one
// more change the next time.
func (p Pair) stamps() [2]stamp { return [2]stamp{stampOf(p.Cert), stampOf(p.Key)} }

// refresh reads the files again if they changed since it last did, and reports
// whether what is in use, or known of them, is another than before. Unless both are
// good and fit, and clients lose nothing by it, the old pair stays. covered tells
// which names have another certificate.
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
	switch why := p.cert.betterThan(p.next, covered); {
	case why == "":
		p.use(log)
	case why == p.problem:
		return false
	default:
		p.keep(log, why)
	}
	return true
}

// keep says why the files aren't in use.
func (p *pairState) keep(log zerolog.Logger, why string) {
	p.problem = why
	log.Error().Str("why", why).Str("file", p.Cert).Strs("names", p.cert.names).Time("not_after", p.cert.Leaf.NotAfter).
		Msg("changed certificate isn't used, the old one stays")
}

// use puts in use what the files hold.
func (p *pairState) use(log zerolog.Logger) {
	p.cert, p.next, p.problem, p.told = p.next, nil, "", fine
	log.Info().Str("file", p.Cert).Strs("names", p.cert.names).Time("not_after", p.cert.Leaf.NotAfter).Msg("certificate reloaded")
}

// betterThan says what clients would lose if next took the place of c, "" if
// nothing. A certificate that is no longer valid has nothing to lose. One that
// isn't valid yet is taken when it is.
func (c *certificate) betterThan(next *certificate, covered func(name string) bool) string {
	now := time.Now()
	if c.invalid(now) != "" {
		return ""
	}
	if why := next.invalid(now); why != "" {
		return why
	}
	for _, name := range c.names {
		if !next.covers(name) && !covered(name) {
			return "it isn't for " + name + ", and the one in use is; a restart takes it nevertheless"
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

// An urgency is how near the end of a certificate is.
type urgency int

const (
	fine urgency = iota
	near
	past
)

func (c *certificate) urgency(now time.Time) urgency {
	switch e := c.expiry(fileMargin); {
	case !now.Before(e.NotAfter):
		return past
	case !now.Before(e.AlarmAt):
		return near
	}
	return fine
}

// warn tells once that the certificate in use ends soon, and once that it has.
func (p *pairState) warn(log zerolog.Logger) {
	is := p.cert.urgency(time.Now())
	if is <= p.told {
		return
	}
	p.told = is
	message := "certificate expires soon"
	if is == past {
		message = "certificate has expired"
	}
	log.Warn().Str("file", p.Cert).Strs("names", p.cert.names).Time("not_after", p.cert.Leaf.NotAfter).Msg(message)
}

// A stamp changes when a file does. The zero stamp is of a file that can't be
// looked at.
type stamp struct {
	modified, changed time.Time
	size              int64
	inode             uint64
}

// stampOf follows symbolic links, as reading does: whoever swaps a link swaps
// the file.
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
