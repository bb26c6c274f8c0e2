package filewatch

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A file is a file of a test, and what a Watch says of it.
type file struct {
	t    *testing.T
	path string
	w    *Watch[string]
}

// opened returns a file that says one.
func opened(t *testing.T) *file {
	f := &file{t: t, path: filepath.Join(t.TempDir(), "file")}
	f.replace("one")
	w, now, err := Open(func() (string, error) {
		text, err := os.ReadFile(f.path)
		if err == nil && bytes.Contains(text, []byte("bad")) {
			err = errors.New("this is " + string(text))
		}
		return string(text), err
	}, f.path)
	if err != nil || now != "one" {
		t.Fatalf("got %q, %v", now, err)
	}
	f.w = w
	return f
}

// replace moves a file with text into place.
func (f *file) replace(text string) {
	f.t.Helper()
	next := f.path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(next, f.path); err != nil {
		f.t.Fatal(err)
	}
}

// looks has the Watch look, and checks what it reports: a text, "!" and a problem, or ""
// for nothing.
func (f *file) looks(want string) {
	f.t.Helper()
	f.w.look()
	got := ""
	select {
	case c := <-f.w.Changes():
		got = c.Value
		if c.Err != nil {
			got = "!" + c.Err.Error()
		}
	default:
	}
	if got != want {
		f.t.Errorf("got %q, want %q", got, want)
	}
}

func TestAChangeIsReadWhenTheFileHasSettled(t *testing.T) {
	f := opened(t)
	f.looks("")
	f.replace("two")
	f.looks("") // it may be half written
	f.looks("two")
	f.looks("")
	if err := os.WriteFile(f.path, []byte("three, in place"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.looks("")
	f.looks("three, in place")
}

func TestAFileThatIsWrittenSlowlyIsReadWhole(t *testing.T) {
	f := opened(t)
	slow, err := os.OpenFile(f.path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	for range 5 {
		f.looks("")
		if _, err := slow.WriteString("part "); err != nil {
			t.Fatal(err)
		}
	}
	f.looks("")
	f.looks("part part part part part ")
}

func TestAProblemIsReportedOnceAndEndsWithARemedy(t *testing.T) {
	f := opened(t)
	f.replace("bad")
	f.looks("")
	f.looks("!this is bad")
	f.looks("")
	if got := f.w.Problem(); got != "this is bad" {
		t.Errorf("got the problem %q", got)
	}
	f.replace("bad again")
	f.looks("")
	f.looks("!this is bad again")
	f.replace("one")
	f.looks("")
	f.looks("one") // the same as before the problem, which is over
	if got := f.w.Problem(); got != "" {
		t.Errorf("got the problem %q", got)
	}
}

func TestAFileThatIsGoneIsAProblem(t *testing.T) {
	f := opened(t)
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	f.looks("")
	f.looks("!open " + f.path + ": no such file or directory")
	f.replace("back")
	f.looks("")
	f.looks("back")
}

// TestAProblemThatIsNotTheFilesEndsByItself: a file that couldn't be opened, because the
// process had too many, is read when that is over.
func TestAProblemThatIsNotTheFilesEndsByItself(t *testing.T) {
	busy := true
	path := filepath.Join(t.TempDir(), "file")
	f := &file{t: t, path: path}
	f.replace("one")
	w, _, err := Open(func() (string, error) {
		if !busy {
			return "read", nil
		}
		return "", errors.New("too many open files")
	}, path)
	if err == nil {
		t.Fatal("Open hides the problem")
	}
	f.w = w
	f.replace("two")
	f.looks("")
	f.looks("!too many open files")
	busy = false
	f.looks("read")
}

func TestRunEndsAndNoFilesNeedNoWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, now, err := Open(func() (string, error) { return "never", nil })
		if err != nil || now != "" || w.Watches() {
			t.Errorf("got %q, %v", now, err)
		}
		w.Run(t.Context()) // returns at once
		f := opened(t)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { f.w.Run(ctx) })
		defer running.Wait()
		defer stop()
		f.replace("two")
		time.Sleep(2*interval + time.Millisecond)
		synctest.Wait()
		select {
		case c := <-f.w.Changes():
			if c.Value != "two" {
				t.Errorf("got %+v", c)
			}
		default:
			t.Error("no change within two looks")
		}
	})
}
