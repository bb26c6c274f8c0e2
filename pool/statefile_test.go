package pool

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/peers"
	"tokenring/pool/ringfile"
	"tokenring/route"
	"tokenring/statefile"
	"tokenring/testlog"
)

// put writes a state file.
func put(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// jsonAt returns the value of a JSON document at a path of names and indexes.
func jsonAt(t *testing.T, doc string, path ...any) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	for _, step := range path {
		switch at := step.(type) {
		case string:
			v = v.(map[string]any)[at]
		case int:
			list, _ := v.([]any)
			if at >= len(list) {
				return nil
			}
			v = list[at]
		}
	}
	return v
}

// later is a file of version 1 that later software has written: with the deadline of a
// drain, an unknown state, and an unknown section.
const later = `{"version":1,
 "decisions":[
  {"host":"a","state":"drain","at":"1999-01-01T00:00:00Z","origin":"lb-2","deadline":"2h","rate":{"a":[1,2]}},
  {"host":"b","state":"fenced","at":"1999-01-01T00:00:00Z","origin":"lb-2"},
  "cordon all"],
 "weights":[{"host":"a","weight":3,"at":"1999-01-01T00:00:00Z","origin":"lb-2"}],
 "warm_ups":[{"host":"a","number":2,"since":"1999-01-01T00:00:00Z","lasts":60000000000,"curve":"square"}],
 "pins":[{"token_digest":"abc","host":"b"}]}`

// TestDowngradedBalancerKeepsWhatItDoesntUnderstand: it starts with the rest and
// logs that. When it writes the file, what it doesn't understand is still there.
func TestDowngradedBalancerKeepsWhatItDoesntUnderstand(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, peers.FileName, later)
	synctest.Test(t, func(t *testing.T) {
		var log testlog.Buffer
		l := live(t, statics("a", "b", "c"), Options{Logger: zerolog.New(&log), StateDir: dir})
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		l.wantRing("b c", "a is drained, and the state of b isn't known")
		if h := l.Snapshot().Host("a"); h.Weight != 3 {
			t.Errorf("got %+v, want the weight 3", h)
		}
		for _, want := range []string{`"error"`, "decisions.json holds what this version of lb doesn't understand", `2 of \"decisions\"`, `\"pins\"`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q: %s", want, log.String())
			}
		}
		for _, want := range []string{`2 of "decisions"`, "overrides of a have more to them"} {
			if alarm := l.Snapshot().Alarm; !strings.Contains(alarm, want) {
				t.Errorf("the alarm lacks %q: %s", want, alarm)
			}
		}
		if err := l.override("c", route.Maint); err != nil {
			t.Fatal(err)
		}
	})
	got := content(t, dir, peers.FileName)
	for _, row := range []struct {
		want any
		path []any
	}{
		{float64(statefile.Version), []any{"version"}},
		{"drain", []any{"decisions", 0, "state"}},
		{"2h", []any{"decisions", 0, "deadline"}},
		{2.0, []any{"decisions", 0, "rate", "a", 1}},
		{"maint", []any{"decisions", 1, "state"}},
		{"fenced", []any{"decisions", 2, "state"}},
		{"cordon all", []any{"decisions", 3}},
		{3.0, []any{"weights", 0, "weight"}},
		{"square", []any{"warm_ups", 0, "curve"}},
		{"abc", []any{"pins", 0, "token_digest"}},
	} {
		if diff := cmp.Diff(row.want, jsonAt(t, got, row.path...)); diff != "" {
			t.Errorf("at %v (-want +got):\n%s", row.path, diff)
		}
	}
	if names := filesIn(t, dir); !slices.Equal(names, []string{peers.FileName, gossip.CacheName, ringfile.Name}) {
		t.Errorf("files %v, want three", names)
	}
}

// TestALaterOverrideReplacesWhatIsNotUnderstood: additions to an earlier
// override are dropped.
func TestALaterOverrideReplacesWhatIsNotUnderstood(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, peers.FileName, `{"version":1,"decisions":[{"host":"a","state":"drain","at":"1999-01-01T00:00:00Z","origin":"lb-2","deadline":"2h"}]}`)
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), Options{Logger: zerolog.Nop(), StateDir: dir})
		defer l.stop()
		l.see(route.Up, "a")
		if err := l.override("a", route.Maint); err != nil {
			t.Fatal(err)
		}
		if alarm := l.Snapshot().Alarm; alarm != "" {
			t.Errorf("there is an alarm still: %s", alarm)
		}
	})
	if got := content(t, dir, peers.FileName); jsonAt(t, got, "decisions", 0, "deadline") != nil || jsonAt(t, got, "decisions", 0, "state") != "maint" {
		t.Errorf("got %s", got)
	}
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestAFileThatCannotBeReadIsPutAside tries both files. The balancer starts without a
// file that isn't valid or is of another version.
func TestAFileThatCannotBeReadIsPutAside(t *testing.T) {
	const seen = `"seen":"2026-01-01T00:00:00Z"`
	for what, row := range map[string]struct{ name, content, aside string }{
		"cut short":                  {peers.FileName, `{"version":1,"decisions":[{"ho`, ".corrupt"},
		"empty":                      {peers.FileName, ``, ".corrupt"},
		"no version":                 {peers.FileName, `{"decisions":[]}`, ".corrupt"},
		"version 0":                  {peers.FileName, `{"version":0}`, ".corrupt"},
		"no list":                    {peers.FileName, `{"version":1,"decisions":{"a":"drain"}}`, ".corrupt"},
		"version 2":                  {peers.FileName, `{"version":2,"decisions":[]}`, ".version-2"},
		"version 3, of another form": {peers.FileName, `{"version":3,"decisions":{"a":"drain"}}`, ".version-3"},
		"members cut short":          {gossip.CacheName, `{"version":1,"pool":[{"no`, ".corrupt"},
		"members of version 2":       {gossip.CacheName, `{"version":2,"pool":[{"node":"host/a","gossip":"10.0.0.1:7946",` + seen + `,"address":"10.0.0.1:80","weight":1}]}`, ".version-2"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, row.name, row.content)
			var log testlog.Buffer
			o := Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.New(&log)}
			for range 2 { // the second start puts nothing aside again
				cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 1)}}
				o.Gossip = listen(t, cfg.Config)
				p, err := New(cfg, gossip.Config{}, o)
				if err != nil {
					t.Fatal(err)
				}
				p.Close()
				if alarm := p.machine.alarm(time.Now()); !strings.Contains(alarm, row.name+row.aside) {
					t.Errorf("the alarm doesn't name the file: %s", alarm)
				}
			}
			if !strings.Contains(log.String(), `"error"`) || !strings.Contains(log.String(), row.name+row.aside) {
				t.Errorf("the log doesn't name the file: %s", log.String())
			}
			if kept := content(t, dir, row.name+row.aside); kept != row.content {
				t.Errorf("kept %q", kept)
			}
			if left := filesIn(t, dir); len(left) > 2 {
				t.Errorf("left on disk: %v", left)
			}
		})
	}
}

// TestOverridesSurviveBesideAFileThatWasPutAside: the new file has nothing
// of the bad one.
func TestOverridesSurviveBesideAFileThatWasPutAside(t *testing.T) {
	for what, content := range map[string]string{
		"of another form":                  `{"version":1,"weights":["x"],"decisions":{"a":"drain"},"pins":[1]}`,
		"a later version, of another form": `{"version":3,"weights":["x"],"decisions":{"a":"drain"},"pins":[1]}`,
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, peers.FileName, content)
			synctest.Test(t, func(t *testing.T) {
				l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
				defer l.stop()
				l.see(route.Up, "a", "b")
				if err := l.override("a", route.Drain); err != nil {
					t.Fatal(err)
				}
			})
			if s := onDisk(t, dir); s.State("a").State != route.Drain {
				t.Errorf("on disk: %+v; want the drain", s.State("a"))
			}
		})
	}
}

func TestNewFailsIfTheOverridesCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, peers.FileName), 0o700); err != nil { // which root can't read, either
		t.Fatal(err)
	}
	_, err := New(statics("a"), gossip.Config{}, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.Nop()})
	if err == nil || !strings.Contains(err.Error(), peers.FileName) {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestUnreadableMembersAreNotWrittenOver(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, gossip.CacheName), 0o700); err != nil {
		t.Fatal(err)
	}
	var log testlog.Buffer
	cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 1)}}
	p, err := New(cfg, gossip.Config{}, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.New(&log), Sockets: Sockets{Gossip: listen(t, cfg.Config)}})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.cache.Run(ctx, p.toCache)
	if info, err := os.Stat(filepath.Join(dir, gossip.CacheName)); err != nil || !info.IsDir() || strings.Count(log.String(), "won't be kept") != 1 {
		t.Errorf("%v, %v; logged %s", info, err, log.String())
	}
}

// TestOverrideThatCantBeWrittenIsAnAlarmAndWrittenLater: the disk is full, or, as
// here, a directory has the name of the file.
func TestOverrideThatCantBeWrittenIsAnAlarmAndWrittenLater(t *testing.T) {
	dir := t.TempDir()
	obstacles := []string{filepath.Join(dir, peers.FileName), filepath.Join(dir, peers.JournalName)}
	synctest.Test(t, func(t *testing.T) {
		var log testlog.Buffer
		l := live(t, statics("a", "b"), Options{Logger: zerolog.New(&log), StateDir: dir})
		l.see(route.Up, "a", "b")
		for _, obstacle := range obstacles {
			if err := os.MkdirAll(filepath.Join(obstacle, "full"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.override("a", route.Drain); err == nil || !strings.Contains(err.Error(), "in force but not on disk") {
			t.Errorf("got %v, want that it is in force but not on disk", err)
		}
		l.pass(5 * saveRetry)
		if alarm := l.Snapshot().Alarm; !strings.Contains(alarm, "not on disk") {
			t.Errorf("no alarm: %q", alarm)
		}
		if n := strings.Count(log.String(), "in force but not on disk"); n != 1 {
			t.Errorf("%d lines about it, want 1", n)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".*.new")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		for _, obstacle := range obstacles {
			if err := os.RemoveAll(obstacle); err != nil {
				t.Fatal(err)
			}
		}
		l.pass(2 * saveRetry)
		if alarm := l.Snapshot().Alarm; alarm != "" {
			t.Errorf("the alarm remains: %q", alarm)
		}
		l.stop()
	})
	if s := onDisk(t, dir); s.State("a").State != route.Drain {
		t.Errorf("on disk: %+v; want the drain", s.State("a"))
	}
}

func TestTheAlarmOfAFilePutAsideEndsWhenItIsRemoved(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, peers.FileName, `{"version":2,"decisions":[{"host":"a","state":"drain","at":"1999-01-01T00:00:00Z","origin":"lb-2"}]}`)
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		defer l.stop()
		l.see(route.Up, "a", "b")
		l.wantRing("b", "what is understood of a later version is in force")
		if alarm := l.Snapshot().Alarm; !strings.Contains(alarm, "decisions.json.version-2") {
			t.Errorf("got %q", alarm)
		}
		if err := os.Remove(filepath.Join(dir, "decisions.json.version-2")); err != nil {
			t.Fatal(err)
		}
		l.pass((10 * time.Second) + time.Second)
		if alarm := l.Snapshot().Alarm; alarm != "" {
			t.Errorf("the alarm remains: %q", alarm)
		}
	})
}
