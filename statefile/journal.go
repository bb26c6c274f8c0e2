package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A Journal is a file of lines to which lines are appended. Lines are on disk when
// Append returns. A crash may leave a part of the last line; SplitLines ignores it. A
// Journal isn't safe for concurrent use.
type Journal struct {
	path string
	size int64 // of the complete lines in the file
}

// OpenJournal returns the Journal at path. size is the number of bytes of the complete
// lines in its file. It doesn't open the file.
func OpenJournal(path string, size int64) *Journal { return &Journal{path: path, size: size} }

// SplitLines returns the complete lines in b, the content of a Journal's file, without
// their line ends, and their size in the file. It ignores bytes after the last line end:
// Append hasn't confirmed them.
func SplitLines(b []byte) (lines [][]byte, size int64) {
	end := bytes.LastIndexByte(b, '\n') + 1
	if end == 0 {
		return nil, 0
	}
	return bytes.Split(b[:end-1], []byte{'\n'}), int64(end)
}

// Size returns the size of the lines in the file.
func (j *Journal) Size() int64 { return j.size }

// Intact reports whether the file still has at least the size of the lines. It is false
// if somebody has removed or truncated the file.
func (j *Journal) Intact() bool {
	info, err := os.Stat(j.path)
	return err == nil && info.Size() >= j.size || errors.Is(err, fs.ErrNotExist) && j.size == 0
}

// Append appends lines, which must not contain line ends. After an error none of them
// is in the journal: the next Append overwrites what was written. It is an error if
// Intact is false.
func (j *Journal) Append(lines ...[]byte) error {
	_, err := os.Stat(j.path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if !j.Intact() { // Truncate would fill the gap with zeros
		return fmt.Errorf("%s has been removed or truncated", j.path)
	}
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	var b []byte
	for _, line := range lines {
		b = append(append(b, line...), '\n')
	}
	if err = f.Truncate(j.size); err == nil {
		_, err = f.WriteAt(b, j.size)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && isNew {
		err = syncDir(filepath.Dir(j.path))
	}
	if err != nil {
		return err
	}
	j.size += int64(len(b))
	return nil
}

// Reset replaces all lines by the given lines. Without lines it removes the file.
func (j *Journal) Reset(lines ...[]byte) error {
	if len(lines) == 0 {
		err := os.Remove(j.path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		} else if err == nil {
			err = syncDir(filepath.Dir(j.path))
		}
		if err == nil {
			j.size = 0
		}
		return err
	}
	b := append(bytes.Join(lines, []byte{'\n'}), '\n')
	if err := Write(j.path, b); err != nil {
		return err
	}
	j.size = int64(len(b))
	return nil
}
