// Package ringfile keeps what the ring was in a file of the state directory, and measures what
// share of the keys a table has moved if nobody else can.
package ringfile

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/notify"
	"tokenring/ringlog"
	"tokenring/statefile"
)

// Name is the name of the file, in the state directory, that has what the ring was.
const Name = "rings.json"

// How long a change may be in memory alone, and how old the time in the file may get until
// which the last entry was in force. What a crash loses is at most as much.
const (
	writeEvery = 5 * time.Second
	staleAfter = 5 * time.Minute
)

// A File is that file. One goroutine at a time may call Open and Run; another one calls
// Write, and in the end Close.
type File struct {
	// Measured has what share of the keys a table has moved, if that wasn't known because the
	// table before was another process's. The receiver must write the Log with it.
	Measured notify.Latest[Measurement]

	path    string // "" if there is no disk, or if the file can't be read
	log     zerolog.Logger
	seed    string
	unknown statefile.Unknown           // what a later version has written there
	wanted  notify.Latest[*ringlog.Log] // closed by Close
	tried   uint64                      // the last entry that was measured
	failing bool                        // the last attempt to write it has failed
}

// A Measurement is the share of the keys, 0..1, that the table of an entry has moved.
type Measurement struct {
	Number uint64 // of the entry
	Moved  float64
}

// New returns a File that isn't open. seed is that of the configuration of the tables.
func New(seed string, log zerolog.Logger) *File {
	return &File{seed: seed, log: log, wanted: notify.NewLatest[*ringlog.Log](), Measured: notify.NewLatest[Measurement]()}
}

// Open reads the file in dir, "" for none. It returns nil if there is none, or none that can
// be believed: that is logged, and no reason not to start. Open must be called before Run.
func (f *File) Open(dir string) (rings *ringlog.Log) {
	if dir == "" {
		return nil
	}
	path := filepath.Join(dir, Name)
	unknown, err := statefile.Load(path, func(b []byte) (u statefile.Unknown, err error) {
		rings, u, err = Parse(b)
		return u, err
	})
	switch {
	case errors.Is(err, statefile.ErrLater):
		f.log.Error().Err(err).Msg("only a part of what the ring was may be known")
	case errors.Is(err, statefile.ErrCorrupt):
		f.log.Error().Err(err).Msg("what the ring was is forgotten")
	case err != nil:
		f.log.Error().Err(err).Msg("what the ring was is forgotten, and what it is from now on won't be kept on disk")
		return nil
	}
	f.path, f.unknown = path, unknown
	return rings
}

// Alarm returns the alarm about what in the file isn't understood, "" if all is.
func (f *File) Alarm() string { return f.unknown.Alarm(Name) }

// Write has the file written, soon. It doesn't block.
func (f *File) Write(rings *ringlog.Log) { f.wanted.Set(rings) }

// Close has Run write the file a last time, and end.
func (f *File) Close() { close(f.wanted) }

// Run writes the file until Close.
func (f *File) Run() {
	timer := time.NewTimer(staleAfter)
	defer timer.Stop()
	var newest *ringlog.Log
	for written := true; ; {
		select {
		case rings, ok := <-f.wanted:
			if !ok {
				f.save(newest)
				return
			}
			if newest = rings; written {
				timer.Reset(writeEvery)
			}
			written = false
			f.measure(rings)
		case <-timer.C:
			f.save(newest)
			written = true
			timer.Reset(staleAfter)
		}
	}
}

// measure measures what share of the keys the first table has moved of which that isn't
// known. There is a next call when the result is in the Log.
func (f *File) measure(rings *ringlog.Log) {
	for {
		before, after := rings.Unmeasured(f.tried)
		if after == nil {
			return
		}
		f.tried = after.Number
		was, err := before.Table(f.seed)
		if err != nil {
			continue // with another seed, all keys have moved, but that can't be known
		}
		if is, err := after.Table(f.seed); err == nil {
			f.Measured.Set(Measurement{after.Number, balancer.Moved(was, is)})
			return
		}
	}
}

// save writes the file, if there is anything to write.
func (f *File) save(rings *ringlog.Log) {
	if f.path == "" || rings == nil || rings.Len() == 0 {
		return
	}
	b, err := Encode(rings, time.Now(), f.unknown)
	if err == nil {
		err = statefile.Write(f.path, b)
	}
	if err != nil && !f.failing {
		f.log.Warn().Err(err).Msg("what the ring was can't be written to disk: a restart forgets it")
	}
	f.failing = err != nil
}

// Read returns what the ring was by the file in a state directory, of a balancer that may
// be running. It changes nothing. A missing file is an error (fs.ErrNotExist).
func Read(dir string) (*ringlog.Log, error) {
	b, err := os.ReadFile(filepath.Join(dir, Name))
	if err != nil {
		return nil, err
	}
	rings, _, err := Parse(b)
	return rings, err
}

// Parse returns what the ring was by a file, and what else is in it. If it doesn't
// understand one entry, it doesn't know what those after it differ from: then it is an error.
func Parse(b []byte) (*ringlog.Log, statefile.Unknown, error) {
	var entries []ringlog.Entry
	var wrong error
	u, err := statefile.ParseLists(b, map[string]func(json.RawMessage) error{
		"entries": func(entry json.RawMessage) error {
			var e ringlog.Entry
			wrong = errors.Join(wrong, json.Unmarshal(entry, &e))
			entries = append(entries, e)
			return nil
		},
	})
	if err == nil {
		err = wrong
	}
	if err != nil {
		return nil, u, err
	}
	rings, err := ringlog.FromEntries(entries)
	return rings, u, err
}

// Encode returns a file with what the ring was until now, and what else it is to hold.
func Encode(rings *ringlog.Log, now time.Time, u statefile.Unknown) ([]byte, error) {
	b, err := statefile.EncodeJSON(struct {
		Version int             `json:"version"`
		Entries []ringlog.Entry `json:"entries"`
	}{statefile.Version, rings.Entries(now)})
	if err != nil {
		return nil, err
	}
	return u.AddTo(b)
}
