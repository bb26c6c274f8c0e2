package peers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tokenring/notify"
	"tokenring/statefile"
)

// A Write is what has changed and is to be on disk.
type Write struct {
	Number    uint64 // a later one has a greater
	Registers []Register
	Dropped   []Topic
}

// An Ack says what became of a Write, and with it of all before.
type Ack struct {
	Number uint64
	Err    error // the changes aren't on disk
	// CompactErr is why the changes are in the journal only.
	CompactErr error
}

// Alarm says that changes aren't on disk, or not where an earlier version of lb would
// look for them; "" if they are.
func (a Ack) Alarm() string {
	switch {
	case a.Err != nil:
		return fmt.Sprintf("what operators have overridden is in force but not on disk, so that a restart may lose it: %v", a.Err)
	case a.CompactErr != nil:
		return fmt.Sprintf("what operators have overridden is in %s, but %s can't be written: %v", JournalName, FileName, a.CompactErr)
	}
	return ""
}

// A Store keeps registers on disk, in a goroutine of its own: a disk may hang, and must
// not delay the caller. See disk for how.
type Store struct {
	Acks chan Ack // unbuffered: what became of Writes

	disk *disk // Run's; nil if nothing is kept
	log  zerolog.Logger
	note notify.Note // there is something in what is below

	mu      sync.Mutex
	number  uint64
	changed newestOf
	dropped map[Topic]bool // before what is in changed
}

// OpenStore returns a Store for dir that is open: see NewStore and Open.
func OpenStore(dir string, log zerolog.Logger) (*Store, []Register, error) {
	s := NewStore(log)
	registers, err := s.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	return s, registers, nil
}

// CheckFiles returns why Open could not read the files in dir; nil if it could, or if dir is
// "". It changes nothing.
func CheckFiles(dir string) error {
	if err := statefile.CheckReadable(dir, FileName, JournalName); err != nil {
		return fmt.Errorf("read overrides: %w", err)
	}
	return nil
}

// NewStore returns a Store that takes Writes, and touches no file before Open.
func NewStore(log zerolog.Logger) *Store {
	return &Store{Acks: make(chan Ack), log: log, note: notify.NewNote(), changed: newestOf{}, dropped: map[Topic]bool{}}
}

// Open reads the files in dir and returns the registers in them. With dir "" nothing is
// kept, and Writes are confirmed all the same. An error is a file that can't be read; what
// can't be believed is put aside and logged. Open must be called once, before Run.
func (s *Store) Open(dir string) ([]Register, error) {
	if dir == "" {
		return nil, nil
	}
	var err error
	if s.disk, err = openDisk(dir, s.log); err != nil {
		return nil, err
	}
	return s.disk.all.list(), nil
}

// Alarms says what in the files isn't in force.
func (s *Store) Alarms() []string {
	if s.disk == nil {
		return nil
	}
	return s.disk.alarms
}

// Write has changes written. It never waits for the disk. One goroutine alone may call
// it, and Close.
func (s *Store) Write(w Write) {
	s.mu.Lock()
	s.number = w.Number
	s.changed.add(w.Registers...)
	for _, topic := range w.Dropped { // it stays in dropped if it is written again: with an older version, as the case may be
		delete(s.changed, topic)
		s.dropped[topic] = true
	}
	s.mu.Unlock()
	s.note.Leave()
}

// take returns what Write has brought since the last take.
func (s *Store) take() (number uint64, changed newestOf, dropped map[Topic]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, changed, dropped = s.number, s.changed, s.dropped
	s.changed, s.dropped = newestOf{}, map[Topic]bool{}
	return number, changed, dropped
}

// Close has Run end once all is written.
func (s *Store) Close() { close(s.note) }

// compactAfter is how long nothing must have changed until all is written to the file:
// then an earlier version of lb, which knows no journal, finds it there also after a crash.
const compactAfter = 5 * time.Second

// Run writes until Close. It hands over Acks until ctx ends.
func (s *Store) Run(ctx context.Context) {
	s.compact(ctx, 0)
	idle := time.NewTimer(compactAfter)
	defer idle.Stop()
	var last uint64 // Write
	for {
		select {
		case <-idle.C:
			if s.disk == nil || s.disk.failed == nil { // else the next Write tries again
				s.compact(ctx, last)
			}
		case _, more := <-s.note:
			if !more {
				s.end()
				return
			}
			last = s.write(ctx)
			idle.Reset(compactAfter)
		}
	}
}

// write writes what has changed, and returns the number of the last Write.
func (s *Store) write(ctx context.Context) uint64 {
	number, changed, dropped := s.take()
	ack := Ack{Number: number}
	if s.disk != nil {
		ack.Err, ack.CompactErr = s.disk.write(changed, dropped)
	}
	s.confirm(ctx, ack)
	return number
}

// compact writes all to the file if it isn't there.
func (s *Store) compact(ctx context.Context, number uint64) {
	if s.disk == nil || s.disk.isCompact {
		return
	}
	if err := s.disk.compact(); err != nil {
		s.confirm(ctx, Ack{Number: number, CompactErr: err})
	}
}

// end writes all to the file a last time.
func (s *Store) end() {
	if s.disk == nil || s.disk.isCompact {
		return
	}
	if err := s.disk.compact(); err != nil {
		s.log.Error().Err(err).Msg("overrides and slow starts aren't all in " + FileName + ": an earlier version of lb would miss some")
	}
}

// confirm hands an Ack over. After the end of ctx nobody takes it.
func (s *Store) confirm(ctx context.Context, ack Ack) {
	select {
	case s.Acks <- ack:
	case <-ctx.Done():
		if ack.Err != nil {
			s.log.Error().Err(ack.Err).Msg("overrides and slow starts are not on disk: the next start has to learn them from peers")
		}
	}
}
