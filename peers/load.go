package peers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"tokenring/statefile"
)

// The files in a state directory. The journal has what has changed since the file was
// written.
const (
	FileName    = "decisions.json"
	JournalName = "decisions.journal"
)

// A saved is what the files of a state directory hold.
type saved struct {
	registers newestOf
	rest      statefile.Unknown // what else is in the file
	lines     [][]byte          // lines of the journal of which something isn't understood
	damaged   bool              // a line of the journal can't be read: a copy is kept
	size      int64             // of the journal's lines, in bytes
	fileSize  int64             // in bytes; 0 if there is no file
}

// load reads the files in dir. Missing files are empty. Without what they hold, a host
// in maintenance would serve; but without the balancer nobody would, and the peers know
// it too. So what can't be believed is put aside, and is logged as an error. It is an
// error only if a file can't be read at all.
func load(dir string, log zerolog.Logger) (saved, error) {
	s := saved{registers: newestOf{}}
	var err error
	s.rest, err = statefile.Load(filepath.Join(dir, FileName), func(b []byte) (statefile.Unknown, error) {
		s.fileSize = int64(len(b))
		return s.registers.read(b)
	})
	if errors.Is(err, statefile.ErrCorrupt) {
		s.fileSize = 0
	}
	if err = logAside(err, log, "operators' overrides are lost, unless a peer knows them"); err != nil {
		return s, fmt.Errorf("read overrides: %w", err)
	}
	err = s.loadJournal(filepath.Join(dir, JournalName))
	s.damaged = errors.Is(err, statefile.ErrCorrupt)
	if err = logAside(err, log, "changes of operators' overrides are lost, unless a peer knows them"); err != nil {
		return s, fmt.Errorf("read overrides: %w", err)
	}
	return s, nil
}

// loadJournal reads the journal at path. If a line of it can't be read, a copy is put
// aside. The journal stays until the file is written: nothing else has its other lines.
func (s *saved) loadJournal(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err = s.readJournal(b); err != nil {
		return statefile.CopyCorrupt(path, b, err)
	}
	return nil
}

// logAside logs an error of statefile.Load after which the balancer starts, and returns
// the others.
func logAside(err error, log zerolog.Logger, lost string) error {
	switch {
	case errors.Is(err, statefile.ErrCorrupt):
		log.Error().Err(err).Msg(lost)
		return nil
	case errors.Is(err, statefile.ErrLater):
		log.Error().Err(err).Msg("a later version of lb has written operators' overrides: those are in force that this one understands")
		return nil
	}
	return err
}

// read takes in what a file, or a line of the journal, holds. After an error it has taken
// nothing in.
func (all newestOf) read(b []byte) (statefile.Unknown, error) {
	of := newestOf{}
	u, err := parse(b, func(list string, entry json.RawMessage) error {
		registers, err := decodeEntry(list, entry)
		of.add(registers...)
		return err
	})
	if err == nil {
		all.add(of.list()...)
	}
	return u, err
}

// readJournal takes in what the lines of a journal hold, each for itself. It keeps the
// lines of which something isn't understood: they stay in the journal, so that it needs
// no copy. A part of a line at the end, which a crash has left, is dropped: nobody was
// told that it is on disk. It is an error if a line can't be read.
func (s *saved) readJournal(b []byte) (err error) {
	var lines [][]byte
	lines, s.size = statefile.SplitLines(b)
	for i, line := range lines {
		u, lineErr := s.registers.read(line)
		switch {
		case lineErr != nil && u.Version() <= formatVersion:
			err = fmt.Errorf("line %d: %w", i+1, lineErr)
		case lineErr != nil || !u.IsEmpty():
			s.lines = append(s.lines, bytes.Clone(line))
		}
	}
	return err
}

// alarms says what in the files isn't in force.
func (s *saved) alarms() (all []string) {
	if alarm := s.rest.Alarm(FileName); alarm != "" {
		all = append(all, alarm)
	}
	if len(s.lines) == 0 {
		return all
	}
	return append(all, fmt.Sprintf("%s holds %d changes that this version of lb doesn't understand: they are kept there but aren't in force; run the version that wrote it",
		JournalName, len(s.lines)))
}

// A newestOf holds the register with the greatest version of each topic, whatever its
// age.
type newestOf map[Topic]Register

func (all newestOf) add(registers ...Register) {
	for _, r := range registers {
		if old, ok := all[r.Topic]; !ok || r.Version.Compare(old.Version) > 0 {
			all[r.Topic] = r
		}
	}
}

// list returns the registers, sorted by topic.
func (all newestOf) list() []Register {
	list := make([]Register, 0, len(all))
	for _, r := range all {
		list = append(list, r)
	}
	sortByTopic(list)
	return list
}
