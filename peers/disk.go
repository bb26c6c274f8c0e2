package peers

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"tokenring/statefile"
)

// A disk is a file of registers with a journal beside it. Each change is appended to
// the journal and synced. When the journal has grown, the whole file is written and the
// journal begins anew. So it is at the start, at the end and when nothing has changed for
// some seconds, so that an earlier version, which knows no journal, finds all in the file.
// A crash in between does no harm: to read a change twice changes nothing.
type disk struct {
	dir     string
	log     zerolog.Logger
	journal *statefile.Journal
	rest    statefile.Unknown // what else is in the file
	lines   [][]byte          // what else is in the journal
	alarms  []string

	all       newestOf // what is to be on disk
	pending   newestOf // of that, what isn't yet
	isCompact bool     // all that is on disk is in the file
	size      int64    // of the file when it was read or written last, in bytes; 0 if there need not be one
	compactAt int64    // the size of the journal at which the file is written
	failed    error    // of the last attempt to write the file
}

// minJournal is how large the journal may grow at least, in bytes.
const minJournal = 64 << 10

func openDisk(dir string, log zerolog.Logger) (*disk, error) {
	s, err := load(dir, log)
	if err != nil {
		return nil, err
	}
	d := &disk{
		dir: dir, log: log, rest: s.rest, lines: s.lines, alarms: s.alarms(),
		journal: statefile.OpenJournal(filepath.Join(dir, JournalName), s.size),
		all:     s.registers, pending: newestOf{},
		isCompact: s.size == 0 && !s.damaged,
		size:      s.fileSize,
		compactAt: minJournal,
	}
	for _, alarm := range d.alarms {
		log.Error().Msg(alarm)
	}
	if s.damaged { // so that the journal begins anew
		d.pending = maps.Clone(d.all)
		_ = d.compact() // Run tries again
	}
	return d, nil
}

// write brings changes to the disk. err is why they aren't there, compactErr why the file
// can't be written. What isn't there is written with the next changes.
func (d *disk) write(changed newestOf, dropped map[Topic]bool) (err, compactErr error) {
	for topic := range dropped {
		delete(d.all, topic)
		delete(d.pending, topic)
	}
	registers := changed.list()
	d.all.add(registers...)
	d.pending.add(registers...)
	if len(dropped) > 0 || d.failed != nil || d.journal.Size() >= d.compactAt || d.isDamaged() {
		if d.compact() == nil {
			return nil, nil
		}
		d.rescue()
		return d.append(), d.failed
	}
	if err = d.append(); err != nil && d.compact() == nil {
		return nil, nil
	}
	return err, nil
}

// append adds what is pending to the journal.
func (d *disk) append() error {
	if len(d.pending) == 0 {
		return nil
	}
	var lines [][]byte
	for _, r := range d.pending.list() {
		lines = append(lines, encode("", []Register{r}))
	}
	d.isCompact = false
	if err := d.journal.Append(lines...); err != nil {
		return err
	}
	clear(d.pending)
	return nil
}

// compact writes the whole file and begins the journal anew.
func (d *disk) compact() error {
	b, err := d.rest.AddTo(encode("", d.all.list()))
	if err == nil {
		err = statefile.Write(filepath.Join(d.dir, FileName), b)
	}
	step := max(minJournal, int64(len(b)))
	d.failed = err
	if err != nil {
		d.compactAt = d.journal.Size() + step
		return err
	}
	clear(d.pending)
	d.isCompact, d.size = true, int64(len(b))
	if err := d.journal.Reset(d.lines...); err != nil { // it says nothing else than the file
		d.log.Warn().Err(err).Msg("the journal of overrides can't be removed")
	}
	d.compactAt = d.journal.Size() + step
	return nil
}

// rescue has append write all that is to be on disk, if somebody has removed what was
// written.
func (d *disk) rescue() {
	if !d.isDamaged() {
		return
	}
	if !d.journal.Intact() && d.journal.Reset(d.lines...) != nil {
		return // append can't write, either
	}
	d.pending, d.size = maps.Clone(d.all), 0
}

// isDamaged reports whether somebody has removed what was written.
func (d *disk) isDamaged() bool {
	_, err := os.Stat(filepath.Join(d.dir, FileName))
	return !d.journal.Intact() || d.size > 0 && errors.Is(err, fs.ErrNotExist)
}
