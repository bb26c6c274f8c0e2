package ringfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/ringlog"
	"tokenring/route"
	"tokenring/statefile"
)

var hash = balancer.Config{Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 512}}

// record has a ring of so many hosts recorded.
func record(t *testing.T, r *ringlog.Recorder, hosts int) *ringlog.Log {
	t.Helper()
	tables, err := balancer.NewBuilder(hash)
	if err != nil {
		t.Fatal(err)
	}
	var all []*route.Host
	var placed []balancer.Host
	for i := range hosts {
		h := &route.Host{
			Spec: route.Spec{Name: fmt.Sprintf("ide-%d", i), Weight: 1}, AdminState: route.AdminState{State: route.Ready},
			Health: route.Health{Verdict: route.Up}, Standing: route.Standing{InRing: true}, Gauges: new(route.Gauges),
		}
		all, placed = append(all, h), append(placed, h.TableHost())
	}
	table, err := tables.Build(placed)
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) ringlog.SlowStart { return ringlog.SlowStart{} }
	r.Record(ringlog.Observation{At: time.Now(), Snapshot: route.NewSnapshot(table, all), SlowStart: none, Serves: func(string) bool { return true }, Hash: hash})
	return r.Log()
}

func starting(log *ringlog.Log) *ringlog.Recorder { return ringlog.NewRecorder(log, "lb-1 started") }

// open returns a File in dir that runs until close, and what is in it.
func open(dir string, log zerolog.Logger) (f *File, rings *ringlog.Log, closed func()) {
	f = New("", log)
	rings = f.Open(dir)
	done := make(chan struct{})
	go func() { f.Run(); close(done) }()
	return f, rings, func() { f.Close(); <-done }
}

func rings(t *testing.T, dir string) []ringlog.Ring {
	t.Helper()
	l, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l.Rings()
}

func TestAChangeIsOnDiskWithinSeconds(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, found, closed := open(dir, zerolog.Nop())
		if found != nil {
			t.Errorf("got %+v from an empty directory", found)
		}
		r := starting(new(ringlog.Log))
		f.Write(record(t, r, 2))
		time.Sleep(writeEvery - time.Millisecond)
		if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("written at once: %v", err)
		}
		time.Sleep(2 * time.Millisecond)
		if got := rings(t, dir); len(got) != 1 || got[0].Hosts != 2 {
			t.Errorf("got %+v", got)
		}
		before, _ := os.ReadFile(filepath.Join(dir, Name))
		time.Sleep(staleAfter + time.Second)
		if after, _ := os.ReadFile(filepath.Join(dir, Name)); bytes.Equal(before, after) {
			t.Error("the time until which the ring was in force is too old")
		}
		f.Write(record(t, r, 3))
		closed()
		if got := rings(t, dir); len(got) != 2 || got[0].Hosts != 3 {
			t.Errorf("at the end: got %+v", got)
		}
	})
}

func TestARestartGoesOnFromTheFile(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f, _, closed := open(dir, zerolog.Nop())
		f.Write(record(t, starting(new(ringlog.Log)), 4))
		closed()
		stopped := time.Now()
		time.Sleep(time.Minute)
		f, found, closed := open(dir, zerolog.Nop())
		r := starting(found)
		f.Write(record(t, r, 3))
		synctest.Wait()
		m := <-f.Measured
		if m.Number != 2 || m.Moved < 0.15 || m.Moved > 0.35 {
			t.Errorf("got %+v, want about a quarter moved by the second", m)
		}
		r.SetMoved(m.Number, m.Moved)
		f.Write(r.Log())
		closed()
		got := rings(t, dir)
		if len(got) != 2 || got[0].Moved == nil || *got[0].Moved != m.Moved || got[1].Hosts != 4 {
			t.Errorf("got %+v", got)
		}
		l, _ := Read(dir)
		v, err := l.View(stopped.Add(time.Second))
		if err != nil || len(v.Notes) != 1 || v.Ring.Hosts != 4 {
			t.Errorf("after the stop: got %+v, %v", v, err)
		}
	})
}

func TestAFileThatCannotBeBelievedIsPutAside(t *testing.T) {
	good, err := Encode(record(t, starting(new(ringlog.Log)), 2), time.Now(), statefile.Unknown{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, text, aside string
		rings             int
	}{
		{"half of it", string(good[:len(good)/2]), Name + ".corrupt", 0},
		{"an entry that makes no sense", strings.Replace(string(good), `"number":1`, `"number":-1`, 1), Name + ".corrupt", 0},
		{"nothing", "", Name + ".corrupt", 0},
		{"a later version", strings.Replace(string(good), `"version":1`, `"version":2,"sessions":["x"]`, 1), Name + ".version-2", 1},
		{"a later version that isn't understood", strings.Replace(string(good), `"version":1,"entries":[`, `"version":2,"entries":["x",`, 1), Name + ".version-2", 0},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, Name), []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); (err == nil) != (row.rings > 0) {
			t.Errorf("%s: Read: %v", row.name, err)
		}
		var log bytes.Buffer
		f, found, closed := open(dir, zerolog.New(&log))
		if (found != nil) != (row.rings > 0) || !strings.Contains(log.String(), row.aside) {
			t.Errorf("%s: got %+v, log %s", row.name, found, &log)
		}
		if kept, err := os.ReadFile(filepath.Join(dir, row.aside)); err != nil || string(kept) != row.text {
			t.Errorf("%s: put aside: %q, %v", row.name, kept, err)
		}
		if found == nil {
			found = new(ringlog.Log)
		}
		f.Write(record(t, starting(found), 3))
		closed()
		b, _ := os.ReadFile(filepath.Join(dir, Name))
		var file struct{ Sessions json.RawMessage }
		if err := json.Unmarshal(b, &file); err != nil || (file.Sessions != nil) != strings.Contains(row.text, "sessions") {
			t.Errorf("%s: what a later version keeps: %s, %v", row.name, file.Sessions, err)
		}
		if got := rings(t, dir); len(got) != row.rings+1 {
			t.Errorf("%s: then there are %d rings", row.name, len(got))
		}
	}
}

func TestAFileThatCannotBeReadOrWrittenStopsNobody(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, Name, "x"), 0o700); err != nil { // not a file
		t.Fatal(err)
	}
	var log bytes.Buffer
	f, found, closed := open(dir, zerolog.New(&log))
	f.Write(record(t, starting(new(ringlog.Log)), 2))
	closed()
	if found != nil || !strings.Contains(log.String(), "won't be kept on disk") {
		t.Errorf("got %+v, log %s", found, &log)
	}
	log.Reset()
	gone := filepath.Join(dir, "gone")
	f, _, closed = open(gone, zerolog.New(&log))
	r := starting(new(ringlog.Log))
	f.Write(record(t, r, 2))
	closed()
	if strings.Count(log.String(), "a restart forgets it") != 1 {
		t.Errorf("log %s", &log)
	}
	f, found, closed = open("", zerolog.New(&log)) // without a state directory
	f.Write(record(t, r, 3))
	closed()
	if found != nil {
		t.Errorf("got %+v", found)
	}
}
