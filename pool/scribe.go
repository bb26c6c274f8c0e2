package pool

import (
	"context"
	"fmt"
	"maps"

	"github.com/rs/zerolog"
)

// A page is what the memory's file is to hold.
type page struct {
	number uint64 // a later one has a greater
	memory memory // nobody changes it any more
}

// A receipt says what became of a page, and with it of all before.
type receipt struct {
	number uint64
	err    error
}

// alarm says that a page isn't on disk; "" if it is.
func (r receipt) alarm() string {
	if r.err == nil {
		return ""
	}
	return fmt.Sprintf("what operators have decided is in force but not on disk, so that a restart may lose it: %v", r.err)
}

// A scribe writes the memory to disk in a goroutine of its own: a disk may hang, and
// must not delay verdicts. It writes one page after the other, and leaves out those
// for which a newer one has come meanwhile.
type scribe struct {
	dir   string
	rest  leftover // what else is in the file; set before run
	log   zerolog.Logger
	pages chan page    // room for one: the newest
	saved chan receipt // unbuffered
}

func newScribe(dir string, log zerolog.Logger) *scribe {
	return &scribe{dir: dir, log: log, pages: make(chan page, 1), saved: make(chan receipt)}
}

// write has p written. It never blocks; one goroutine alone may call it, and close.
func (s *scribe) write(p page) {
	select {
	case <-s.pages:
	default:
	}
	s.pages <- p
}

// close has run end once the last page is written.
func (s *scribe) close() { close(s.pages) }

// run writes until close. It hands over receipts until ctx ends.
func (s *scribe) run(ctx context.Context) {
	for p := range s.pages {
		r := receipt{p.number, p.memory.save(s.dir, s.rest)}
		select {
		case s.saved <- r:
		case <-ctx.Done():
			if r.err != nil {
				s.log.Error().Err(r.err).Msg("decisions and warm-ups are not on disk: the next start has to learn them from peers")
			}
		}
	}
}

// clone returns a copy of m.
func (m memory) clone() memory { return memory{maps.Clone(m.decided), maps.Clone(m.warmUps)} }
