package peers

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/rs/zerolog"

	"tokenring/route"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

// TestStories runs the stories of testdata/peers: what a balancer finds on disk, hears
// of peers and is told by operators as commands, and what it makes of it as output.
// With -update it writes the output.
func TestStories(t *testing.T) {
	if *update {
		if err := flag.Set("rewrite", "true"); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := filepath.Glob("../testdata/peers/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s := &story{dir: t.TempDir(), now: at(0)}
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
		})
	}
}

// A story is a balancer to which things happen.
type story struct {
	dir      string
	now      time.Time
	log      bytes.Buffer
	set      *Set
	disk     *disk
	exchange *Exchange
}

// run executes one command of a story.
//
//	file name=N           what is in a file of the state directory; torn: without its last end of a line
//	start                 the balancer reads it
//	override              a line for each: host, state=S, weight=N
//	receive               a line for each message of a peer
//	pass time=D           the clock goes on
//	hosts                 what is in force, a line for each host named
//	tell                  what the next state exchange tells
//	crash, stop           the balancer ends, and the files that it leaves
func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "file":
		var name string
		d.ScanArgs(t, "name", &name)
		put(t, s.dir, name, d.Input+map[bool]string{false: "\n"}[d.HasArg("torn")])
	case "start":
		s.start(t)
	case "override":
		for line := range strings.Lines(d.Input) {
			s.override(t, strings.Fields(line))
		}
	case "receive":
		for line := range strings.Lines(d.Input) {
			s.exchange.Receive([]byte(line))
		}
		s.take(t)
	case "pass":
		var text string
		d.ScanArgs(t, "time", &text)
		span, err := time.ParseDuration(text)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		s.now = s.now.Add(span)
	case "hosts":
		return s.hosts(strings.Fields(d.Input))
	case "tell":
		return indent(t, s.exchange.State(1<<30))
	case "stop":
		if err := s.disk.compact(); err != nil {
			t.Fatal(err)
		}
		return s.files(t)
	case "crash":
		return s.files(t)
	default:
		d.Fatalf(t, "no such command")
	}
	return s.said(t)
}

func (s *story) start(t *testing.T) {
	log := zerolog.New(&s.log)
	var err error
	if s.disk, err = openDisk(s.dir, log); err != nil {
		t.Fatal(err)
	}
	s.set, s.exchange = NewSet(nil), NewExchange(log)
	s.set.Restore(s.disk.all.list(), s.now)
	s.exchange.Hold(s.disk.all.list()...)
}

// override has an operator say what the words do: host, state=S, weight=N.
func (s *story) override(t *testing.T, words []string) {
	o := route.Override{Host: words[0], By: "ops"}
	for _, word := range words[1:] {
		switch what, value, _ := strings.Cut(word, "="); what {
		case "state":
			o.State = route.State(value)
		case "weight":
			o.Weight = new(0)
			fmt.Sscan(value, o.Weight)
		}
	}
	s.learn(t, must(t, s.set.Date(o, "lb-1", s.now)))
}

// take takes in what the peers have told.
func (s *story) take(t *testing.T) { s.learn(t, s.exchange.Take()) }

func (s *story) learn(t *testing.T, told []Register) {
	var news []Register
	for _, r := range told {
		if s.set.Merge(r, s.now) {
			news = append(news, r)
			fmt.Fprintf(&s.log, `{"message":"news: %s"}`+"\n", r.Topic)
		}
	}
	s.exchange.Hold(news...)
	s.disk.mustWrite(t, news...)
}

// hosts says what is in force of hosts.
func (s *story) hosts(names []string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s", name, s.set.State(name).State)
		if o, ok := s.set.Weight(name); ok {
			fmt.Fprintf(&b, ", weight %d", *o.Weight)
		}
		if start := s.set.SlowStart(name); start.Number > 0 {
			fmt.Fprintf(&b, ", return %d", start.Number)
		}
		b.WriteByte('\n')
	}
	if alarm := s.set.UnknownAlarm(); alarm != "" {
		b.WriteString("alarm: " + alarm + "\n")
	}
	for _, alarm := range s.disk.alarms {
		b.WriteString("alarm: " + alarm + "\n")
	}
	return b.String()
}

// said returns what has been logged since the last call, without the directory.
func (s *story) said(t *testing.T) string {
	var b strings.Builder
	for line := range strings.Lines(s.log.String()) {
		var said struct{ Level, Host, Message, Error string }
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		fmt.Fprintln(&b, strings.TrimSpace(strings.Join([]string{said.Level, said.Host, said.Message, said.Error}, " ")))
	}
	s.log.Reset()
	return strings.ReplaceAll(strings.ReplaceAll(b.String(), s.dir+"/", ""), "  ", " ")
}

// files returns what is in the state directory.
func (s *story) files(t *testing.T) string {
	var b strings.Builder
	for _, name := range strings.Fields(filesIn(t, s.dir)) {
		text, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(name + "\n")
		if json.Valid(text) && bytes.Count(text, []byte("\n")) == 0 {
			b.WriteString(indent(t, text))
			continue
		}
		b.WriteString(strings.TrimSuffix(string(text), "\n") + "\n")
	}
	return b.String()
}

// indent writes a message with each register on a line of its own.
func indent(t *testing.T, b []byte) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	text := string(b)
	for name := range members {
		text = strings.Replace(text, `"`+name+`":[{`, `"`+name+"\":[\n  {", 1)
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "},{", "},\n  {"), "}],", "}],\n ") + "\n"
}
