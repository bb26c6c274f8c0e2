package pool

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// put writes a state file as another version may have left it.
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

// jsonAt returns what a JSON document has at a path of names and indexes.
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

// later is a decisions file of version 1 by software that knows more: a deadline of a
// drain, a state, and something of which this version has never heard.
const later = `{"version":1,
 "decisions":[
  {"host":"a","state":"drain","at":"1999-01-01T00:00:00Z","origin":"lb-2","deadline":"2h","rate":{"a":[1,2]}},
  {"host":"b","state":"fenced","at":"1999-01-01T00:00:00Z","origin":"lb-2"},
  "cordon all"],
 "weights":[{"host":"a","weight":3,"at":"1999-01-01T00:00:00Z","origin":"lb-2"}],
 "warm_ups":[{"host":"a","number":2,"since":"1999-01-01T00:00:00Z","lasts":60000000000,"curve":"square"}],
 "pins":[{"token_digest":"abc","host":"b"}]}`

// TestDowngradedBalancerKeepsWhatItDoesntUnderstand: it starts with the rest, says
// so, and when it writes the file, what it doesn't understand is there again.
func TestDowngradedBalancerKeepsWhatItDoesntUnderstand(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, decisionsName, later)
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		l := live(t, statics("a", "b", "c"), Options{Logger: zerolog.New(&log), StateDir: dir})
		defer l.stop()
		l.see(Up, "a", "b", "c")
		l.wantRing("b c", "a is drained, and the state of b isn't known")
		if h := l.Snapshot().Host("a"); h.Weight != 3 {
			t.Errorf("got %+v, want the weight 3", h)
		}
		for _, want := range []string{`"error"`, "decisions.json holds what this version of lb doesn't understand", `2 of \"decisions\"`, `\"pins\"`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q: %s", want, log.String())
			}
		}
		for _, want := range []string{`2 of "decisions"`, "decisions about a have more to them"} {
			if alarm := l.Snapshot().Alarm; !strings.Contains(alarm, want) {
				t.Errorf("the alarm lacks %q: %s", want, alarm)
			}
		}
		if err := l.decide("c", Maint); err != nil {
			t.Fatal(err)
		}
	})
	got := content(t, dir, decisionsName)
	for _, row := range []struct {
		want any
		path []any
	}{
		{float64(stateVersion), []any{"version"}},
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
	if names := filesIn(t, dir); !slices.Equal(names, []string{decisionsName}) {
		t.Errorf("files %v, want one", names)
	}
}

// TestALaterDecisionReplacesWhatIsNotUnderstood: what was added to an earlier one is
// void.
func TestALaterDecisionReplacesWhatIsNotUnderstood(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, decisionsName, `{"version":1,"decisions":[{"host":"a","state":"drain","at":"1999-01-01T00:00:00Z","origin":"lb-2","deadline":"2h"}]}`)
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), Options{Logger: zerolog.Nop(), StateDir: dir})
		defer l.stop()
		l.see(Up, "a")
		if err := l.decide("a", Maint); err != nil {
			t.Fatal(err)
		}
		if alarm := l.Snapshot().Alarm; alarm != "" {
			t.Errorf("there is an alarm still: %s", alarm)
		}
	})
	if got := content(t, dir, decisionsName); jsonAt(t, got, "decisions", 0, "deadline") != nil || jsonAt(t, got, "decisions", 0, "state") != "maint" {
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

// TestFileThatCantBeBelievedIsKept goes through both files: what isn't understood at
// all, or is of another version, is put aside, and the balancer starts.
func TestFileThatCantBeBelievedIsKept(t *testing.T) {
	const seen = `"seen":"2026-01-01T00:00:00Z"`
	for what, row := range map[string]struct{ name, content, aside string }{
		"cut short":                  {decisionsName, `{"version":1,"decisions":[{"ho`, ".corrupt"},
		"empty":                      {decisionsName, ``, ".corrupt"},
		"no version":                 {decisionsName, `{"decisions":[]}`, ".corrupt"},
		"version 0":                  {decisionsName, `{"version":0}`, ".corrupt"},
		"no list":                    {decisionsName, `{"version":1,"decisions":{"a":"drain"}}`, ".corrupt"},
		"version 2":                  {decisionsName, `{"version":2,"decisions":[]}`, ".version-2"},
		"version 3, of another form": {decisionsName, `{"version":3,"decisions":{"a":"drain"}}`, ".version-3"},
		"members cut short":          {membersName, `{"version":1,"pool":[{"no`, ".corrupt"},
		"members of version 2":       {membersName, `{"version":2,"pool":[{"node":"host/a","gossip":"10.0.0.1:7946",` + seen + `,"address":"10.0.0.1:80","weight":1}]}`, ".version-2"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, row.name, row.content)
			var log logBuffer
			o := Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.New(&log)}
			for range 2 { // the second start puts nothing aside again
				p, err := New(Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 1)}, PeersConfig{}, o)
				if err != nil {
					t.Fatal(err)
				}
				p.Close()
				if alarm := p.keeper.alarm(time.Now()); !strings.Contains(alarm, row.name+row.aside) {
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

// TestDecisionsSurviveBesideAFileThatCantBeBelieved: nothing of such a file spoils the
// one that is written instead.
func TestDecisionsSurviveBesideAFileThatCantBeBelieved(t *testing.T) {
	for what, content := range map[string]string{
		"of another form":                  `{"version":1,"weights":["x"],"decisions":{"a":"drain"},"pins":[1]}`,
		"a later version, of another form": `{"version":3,"weights":["x"],"decisions":{"a":"drain"},"pins":[1]}`,
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, decisionsName, content)
			synctest.Test(t, func(t *testing.T) {
				l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
				defer l.stop()
				l.see(Up, "a", "b")
				if err := l.decide("a", Drain); err != nil {
					t.Fatal(err)
				}
			})
			if m, _, err := loadMemory(dir); err != nil || m.decided.state("a").State != Drain {
				t.Errorf("on disk: %+v, %v; want the drain", m, err)
			}
		})
	}
}

// TestEntriesThatCantBeBelievedAreKept: beside those that can. They are in the file
// again when that is written.
func TestEntriesThatCantBeBelievedAreKept(t *testing.T) {
	const date = `"at":"2026-01-01T00:00:00Z","origin":"lb-1"`
	for what, row := range map[string]struct{ list, entry string }{
		"bad weight":       {"weights", `{"host":"a","weight":999,` + date + `}`},
		"a weight in text": {"weights", `{"host":"a","weight":"3",` + date + `}`},
		"bad warm-up":      {"warm_ups", `{"host":"a","number":1,"since":"2026-01-01T00:00:00Z","lasts":1}`},
		"bad decision":     {"decisions", `{"host":"a","state":"gone",` + date + `}`},
		"a long addition":  {"decisions", `{"host":"a","state":"drain",` + date + `,"why":"` + strings.Repeat("x", maxUnknown) + `"}`},
	} {
		dir := t.TempDir()
		doc := map[string]any{"version": 1, "decisions": []any{json.RawMessage(`{"host":"b","state":"maint",` + date + `}`)}}
		list, _ := doc[row.list].([]any)
		doc[row.list] = append(list, json.RawMessage(row.entry))
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, decisionsName, string(b))
		m, l, err := loadMemory(dir)
		if err != nil || len(m.decided)+len(m.warmUps) != 1 || m.decided.state("b").State != Maint {
			t.Errorf("%s: got %+v, %v; want the decision about b", what, m, err)
		}
		if err := m.save(dir, l); err != nil {
			t.Fatal(err)
		}
		if got := content(t, dir, decisionsName); !strings.Contains(got, row.entry) {
			t.Errorf("%s: the entry is gone from %s", what, got)
		}
	}
}

func TestMembersOfALaterVersionKeepWhatItAdded(t *testing.T) {
	dir := t.TempDir()
	known := `{"node":"host/a","gossip":"10.0.0.1:7946","seen":"2026-01-01T00:00:00Z","address":"10.0.0.1:80","weight":1,"key":"ed25519:abc"}`
	strange := []string{
		`{"node":"relay/x","gossip":"10.0.0.2:7946","seen":"2026-01-01T00:00:00Z"}`,             // a role that isn't known
		`{"node":"host/b","seen":"2026-01-01T00:00:00Z","address":"10.0.0.1:80","weight":1}`,    // no gossip
		`{"node":"host/c","gossip":"10.0.0.1:0","seen":"2026-01-01T00:00:00Z"}`,                 // port 0
		`{"node":"lb/d","gossip":"0.0.0.0:7946","seen":"2026-01-01T00:00:00Z"}`,                 // all addresses
		`{"node":"lb/e","gossip":"10.0.0.1:7946"}`,                                              // never seen
		`{"node":"lb/f","gossip":"10.0.0.1:7946","seen":"2026-01-01T00:00:00Z","in_ring":true}`, // a balancer in the ring
	}
	put(t, dir, membersName, `{"version":1,"pool":[`+known+`,`+strings.Join(strange, ",")+`],"peers":null,"epoch":7}`)
	m, l, err := loadMembership(dir)
	if err != nil || len(m.Pool) != 1 || m.Pool[0].Node != "host/a" {
		t.Fatalf("got %+v, %v; want host/a", m, err)
	}
	now := membership{Version: stateVersion, Pool: []remembered{noted(hostMeta("a"), 5), noted(hostMeta("z"), 5)}}
	now.keep(m)
	if err := now.save(dir, l); err != nil {
		t.Fatal(err)
	}
	got := content(t, dir, membersName)
	for _, entry := range append(strange, `"key":"ed25519:abc"`, `"epoch":7`, `"host/z"`) {
		if !strings.Contains(got, entry) {
			t.Errorf("%s is gone from %s", entry, got)
		}
	}
}

func TestUnreadableDecisionsAreNoReasonToStartWithoutThem(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, decisionsName), 0o700); err != nil { // which root can't read, either
		t.Fatal(err)
	}
	_, err := New(statics("a"), PeersConfig{}, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.Nop()})
	if err == nil || !strings.Contains(err.Error(), decisionsName) {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestUnreadableMembersAreNotWrittenOver(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, membersName), 0o700); err != nil {
		t.Fatal(err)
	}
	var log logBuffer
	p, err := New(Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 1)}, PeersConfig{}, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.diary.run(t.Context())
	if info, err := os.Stat(filepath.Join(dir, membersName)); err != nil || !info.IsDir() || strings.Count(log.String(), "won't be remembered") != 1 {
		t.Errorf("%v, %v; logged %s", info, err, log.String())
	}
}

// TestDecisionThatCantBeWrittenIsAnAlarmAndWrittenLater: the disk is full, or as here
// something is where the file should be.
func TestDecisionThatCantBeWrittenIsAnAlarmAndWrittenLater(t *testing.T) {
	dir := t.TempDir()
	obstacle := filepath.Join(dir, decisionsName)
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		l := live(t, statics("a", "b"), Options{Logger: zerolog.New(&log), StateDir: dir})
		l.see(Up, "a", "b")
		if err := os.MkdirAll(filepath.Join(obstacle, "full"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := l.decide("a", Drain); err == nil || !strings.Contains(err.Error(), "in force but not on disk") {
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
		if err := os.RemoveAll(obstacle); err != nil {
			t.Fatal(err)
		}
		l.pass(2 * saveRetry)
		if alarm := l.Snapshot().Alarm; alarm != "" {
			t.Errorf("the alarm remains: %q", alarm)
		}
		l.stop()
	})
	if m, _, err := loadMemory(dir); err != nil || m.decided.state("a").State != Drain {
		t.Errorf("on disk: %+v, %v; want the drain", m, err)
	}
}

func TestAlarmOfAFilePutAsideEndsWhenItIsRemoved(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, decisionsName, `{"version":2,"decisions":[{"host":"a","state":"drain","at":"1999-01-01T00:00:00Z","origin":"lb-2"}]}`)
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		defer l.stop()
		l.see(Up, "a", "b")
		l.wantRing("b", "what is understood of a later version is in force")
		if alarm := l.Snapshot().Alarm; !strings.Contains(alarm, "decisions.json.version-2") {
			t.Errorf("got %q", alarm)
		}
		if err := os.Remove(filepath.Join(dir, "decisions.json.version-2")); err != nil {
			t.Fatal(err)
		}
		l.pass(asideEvery + time.Second)
		if alarm := l.Snapshot().Alarm; alarm != "" {
			t.Errorf("the alarm remains: %q", alarm)
		}
	})
}

func TestWhatIsPutAsideWritesNothingOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, decisionsName)
	for i, row := range []struct{ content, want string }{
		{"first", path + ".corrupt"}, {"second", path + ".corrupt-2"}, {"first", path + ".corrupt"}, {"second", path + ".corrupt-2"}, {"third", path + ".corrupt-3"},
	} {
		if got, err := putAside(path, ".corrupt", []byte(row.content)); err != nil || got != row.want || content(t, dir, filepath.Base(got)) != row.content {
			t.Errorf("step %d: got %s, %v, want %s", i, got, err, row.want)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want nothing at the path itself", err)
	}
}
