package pool

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// A grammar is which arguments a command of a story may have, and which words its lines
// may have after the name; no lines if words is nil. An argument or a word of which a
// value belongs ends in "="; if it may stand alone, too, it is there twice.
type grammar struct {
	args  []string
	words []string
	one   bool // it needs exactly one of the arguments
}

var grammars = map[string]grammar{
	"start": {
		args:  wordList("gossip peers again damping= slow-start= freeze= freeze-for= min-hosts= max-weight= max-hosts-per-address= loss-window= policy= slots= bounded-load= expect= agree-within= strict="),
		words: wordList("address= weight= id= backup"),
	},
	"hosts": {args: wordList("file operator bad"), words: wordList("address= weight= id= backup")},
	"handover": {
		args:  wordList("damping= slow-start= freeze= freeze-for= min-hosts= max-weight= max-hosts-per-address= loss-window= policy= slots= bounded-load= expect= agree-within= strict="),
		words: wordList("address= weight= id= backup"),
	},
	"again":     {},
	"begin":     {},
	"remembers": {args: wordList("frozen="), words: wordList("ago= failing= listed address= weight= id=")},
	"members":   {words: wordList("gossip= address= weight= id= leaving drains drains= lost")},
	"checks":    {words: wordList("gate up up= down down= refused unchecked of= ago=")},
	"resolve":   {words: wordList("to= several failing")},
	"override":  {words: wordList("state= weight= reason= by=")},
	"edit":      {words: wordList("add set remove address= weight= id= reason= by=")},
	"told":      {words: wordList("state= weight= reason= by= at= origin= after= came= return= lasts= has= number= id=")},
	"peers":     {words: wordList("table= lost leaving cut")},
	"knew":      {words: wordList("ago=")},
	"insist":    {words: []string{}},
	"passed":    {words: wordList("gossip= address= weight= id=")},
	"votes":     {words: wordList("up= down= refused= unchecked= sends=")},
	"terminals": {words: wordList("open= byte")},
	"aside":     {words: []string{}},
	"disk":      {args: wordList("works fails hangs appends"), one: true},
	"builder":   {args: wordList("works fails hangs doubts"), one: true},
	"pass":      {args: wordList("time="), one: true},
	"keys":      {},
	"digest":    {},
	"rings":     {},
	"was":       {args: wordList("ago="), one: true},
}

func wordList(text string) []string { return strings.Fields(text) }

// checkWords says what in a command doesn't belong there.
func checkWords(d *datadriven.TestData) error {
	g, ok := grammars[d.Cmd]
	if !ok {
		return fmt.Errorf("there is no command %s", d.Cmd)
	}
	for _, arg := range d.CmdArgs {
		word := arg.Key
		if len(arg.Vals) > 0 {
			word += "="
		}
		if !slices.Contains(g.args, word) {
			return fmt.Errorf("%s has no argument %s", d.Cmd, word)
		}
	}
	if g.one && len(d.CmdArgs) != 1 {
		return fmt.Errorf("%s needs one of %s", d.Cmd, strings.Join(g.args, ", "))
	}
	if g.words == nil && d.Input != "" {
		return fmt.Errorf("%s has no lines", d.Cmd)
	}
	for text := range strings.Lines(d.Input) {
		words := strings.Fields(text)
		if len(words) == 0 {
			return fmt.Errorf("%s has an empty line", d.Cmd)
		}
		for _, word := range words[1:] {
			if what, _, ok := strings.Cut(word, "="); !slices.Contains(g.words, what+strings.Repeat("=", map[bool]int{true: 1}[ok])) {
				return fmt.Errorf("a line of %s has no word %s", d.Cmd, word)
			}
		}
	}
	return nil
}

// TestStoriesRefuseWordsThatDontBelongThere: a mistake in a story must not go unseen.
func TestStoriesRefuseWordsThatDontBelongThere(t *testing.T) {
	for _, row := range []struct{ command, input, want string }{
		{"checks", "a,b up\nc down=timeout of=10.0.0.9:80", ""},
		{"start gossip slow-start=5s", "a weight=2", ""},
		{"check", "a up", "there is no command check"},
		{"checks", "a op", "a line of checks has no word op"},
		{"checks", "a unchecked=1", "a line of checks has no word unchecked=1"},
		{"members", "a weight", "a line of members has no word weight"},
		{"checks now", "a up", "checks has no argument now"},
		{"start gossip=yes", "", "start has no argument gossip="},
		{"disk", "", "disk needs one of works, fails, hangs, appends"},
		{"pass time=1s", "a", "pass has no lines"},
		{"members", "a\n\nb", "members has an empty line"},
	} {
		cmd, args, err := datadriven.ParseLine(row.command)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := checkWords(&datadriven.TestData{Cmd: cmd, CmdArgs: args, Input: row.input}); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s, %q: got %q, want %q", row.command, row.input, got, row.want)
		}
	}
}

// A line is a name and what a line of a story says of it.
type line struct {
	name string
	says map[string]string
}

// lines returns the lines of a command, one for each name.
func (s *story) lines() (all []line) {
	for text := range strings.Lines(s.d.Input) {
		words := strings.Fields(text)
		says := map[string]string{}
		for _, word := range words[1:] {
			what, value, _ := strings.Cut(word, "=")
			says[what] = value
		}
		for name := range strings.SplitSeq(words[0], ",") {
			if name == "" {
				s.fatal("a name is missing: %s", text)
			}
			all = append(all, line{name, says})
		}
	}
	return all
}

func (l line) has(what string) bool { _, has := l.says[what]; return has }

// or returns what the line says of something, otherwise if it says nothing.
func (l line) or(what, otherwise string) string {
	if value := l.says[what]; value != "" {
		return value
	}
	return otherwise
}

func (s *story) number(l line, what string, otherwise int) int {
	if !l.has(what) {
		return otherwise
	}
	n, err := strconv.Atoi(l.says[what])
	if err != nil {
		s.fatal("%s=%s: %v", what, l.says[what], err)
	}
	return n
}

func (s *story) span(l line, what string, otherwise time.Duration) time.Duration {
	if !l.has(what) {
		return otherwise
	}
	return s.parse(what, l.says[what])
}

// duration returns an argument of the command.
func (s *story) duration(arg string, otherwise time.Duration) time.Duration {
	if !s.d.HasArg(arg) {
		return otherwise
	}
	var text string
	s.scan(arg, &text)
	return s.parse(arg, text)
}

func (s *story) parse(what, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.fatal("%s: %v", what, err)
	}
	return d
}

// scan reads an argument of the command into a place, if there is one.
func (s *story) scan(arg string, place any) {
	if s.d.HasArg(arg) {
		s.d.ScanArgs(s.t, arg, place)
	}
}
