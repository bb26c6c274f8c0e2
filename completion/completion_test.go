package completion_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tokenring/completion"
)

// The command line of the tests.
type grammar struct {
	Serve struct {
		Config string `short:"c" placeholder:"FILE" help:"Where the file is: here."`
		Fast   bool   `help:"Don't wait."`
		Label  string `help:"Any text."`
	} `cmd:"" help:"Serve it."`
	Ctl struct {
		Format string   `enum:"table,json,left out" default:"table" help:"How."`
		State  struct{} `cmd:"" help:"Show the state."`
		Stop   struct {
			Now bool `short:"n" help:"Now."`
		} `cmd:"" help:"Stop."`
	} `cmd:"" help:"Control it."`
	Read struct {
		File string `arg:"" placeholder:"FILE" help:"What to read."`
		Into string `placeholder:"DIR" help:"Where to."`
	} `cmd:"" help:"Read it."`
	Shell struct {
		Name string `arg:"" enum:"bash,zsh"`
	} `cmd:"" help:"Which."`
	Secret struct{} `cmd:"" hidden:"" help:"Nothing."`
}

// A line is a command line, and the words that complete its last word.
type line struct {
	typed string
	want  []string
}

var lines = []line{
	{"prog ", []string{"ctl", "read", "serve", "shell"}},
	{"prog s", []string{"serve", "shell"}},
	{"prog x", nil},
	{"prog ctl ", []string{"state", "stop"}},
	{"prog ctl --format ", []string{"json", "table"}},
	{"prog ctl --format j", []string{"json"}},
	{"prog ctl --format json st", []string{"state", "stop"}},
	{"prog ctl stop --format t", []string{"table"}},     // a flag of the command above
	{"prog serve --label ctl --fa", []string{"--fast"}}, // ctl is a value here
	{"prog serve --fast --l", []string{"--label"}},      // --fast has no value
	{"prog ctl stop --n", []string{"--now"}},
	{"prog serve -c ", []string{"a file", "dir/", "plain.yaml"}},
	{"prog serve --config pl", []string{"plain.yaml"}},
	{"prog read p", []string{"plain.yaml"}},
	{"prog read --into ", []string{"dir/"}},
	{"prog shell ", []string{"bash", "zsh"}},
	{"prog serve --label ", nil},
	{"prog state ", []string{"ctl", "read", "serve", "shell"}}, // no command of this name here
}

// write writes the script of a shell into a directory with files, and returns the directory.
func write(t *testing.T, shell string) (dir string) {
	t.Helper()
	parser, err := kong.New(new(grammar), kong.Name("prog"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	if err := completion.Write(&script, shell, parser.Model); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "_prog"), []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	if err := os.MkdirAll(filepath.Join(work, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a file", "plain.yaml"} {
		if err := os.WriteFile(filepath.Join(work, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// need skips the test if a shell isn't installed: the package's test has all of them.
func need(t *testing.T, shell string) {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("%s isn't installed", shell)
	}
}

// wants runs a shell in dir/work. It completes each of its arguments after the first, a
// command line, and prints the words and then a line with a dash.
func wants(t *testing.T, dir string, shell []string, run string, lines []line) {
	t.Helper()
	args := append(slices.Clone(shell[1:]), run)
	if shell[0] != "fish" { // which has no $0
		args = append(args, shell[0])
	}
	args = append(args, filepath.Join(dir, "_prog"))
	for _, l := range lines {
		args = append(args, l.typed)
	}
	cmd := exec.Command(shell[0], args...)
	cmd.Dir = filepath.Join(dir, "work")
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	answers := strings.Split(string(out), "-\n")
	if len(answers) != len(lines)+1 {
		t.Fatalf("got %d answers to %d lines:\n%s", len(answers)-1, len(lines), out)
	}
	for i, l := range lines {
		got := strings.Split(strings.TrimSuffix(answers[i], "\n"), "\n")
		got = slices.DeleteFunc(got, func(word string) bool { return word == "" })
		slices.Sort(got)
		if !slices.Equal(got, l.want) {
			t.Errorf("%q: got %q, want %q", l.typed, got, l.want)
		}
	}
}

func TestBashCompletes(t *testing.T) {
	need(t, "bash")
	const run = `source "$1"; shift
for line; do
    mapfile -td ' ' COMP_WORDS < <(printf '%s ' "$line")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _prog
    for word in "${COMPREPLY[@]}"; do [[ -d $word ]] && word+=/; printf '%s\n' "$word"; done
    echo -
done`
	wants(t, write(t, "bash"), []string{"bash", "--norc", "-c"}, run, append(slices.Clone(lines), []line{
		{"prog ctl --format =", []string{"json", "table"}}, // as COMP_WORDBREAKS splits --format=
		{"prog ctl --format = j", []string{"json"}},
		{"prog ctl --format = json st", []string{"state", "stop"}},
	}...))
}

func TestFishCompletes(t *testing.T) {
	need(t, "fish")
	const run = `source $argv[1]
for line in $argv[2..-1]
    complete -C "$line" | string replace -r '\t.*' '' | string replace -a '\ ' ' '
    echo -
end`
	wants(t, write(t, "fish"), []string{"fish", "--no-config", "-c"}, run, append(slices.Clone(lines),
		line{"prog ctl --format=j", []string{"--format=json"}}))
}

// TestZshCompletes has the functions of zsh that complete print the words instead.
func TestZshCompletes(t *testing.T) {
	need(t, "zsh")
	const run = `
compadd() { shift; print_matches "$@" }
_describe() { [[ $1 == -o ]] && shift; print_matches ${(@)${(P)2}%%:*} }
_files() { [[ $1 == -/ ]] && print_matches *(/N) || print_matches *(N) }
compset() { cur=${cur#*=} }
compdef() { }
print_matches() {
    local word
    for word; do
        [[ -d $word ]] && word+=/
        [[ $word == $cur* ]] && print -r -- $word
    done
    return 0
}
source $1; shift
for line; do
    words=("${(@s: :)line}") CURRENT=$#words
    _prog
    print -- -
done`
	wants(t, write(t, "zsh"), []string{"zsh", "-f", "-c"}, run, append(slices.Clone(lines),
		line{"prog ctl --format=j", []string{"json"}}))
}

func TestOtherShellsHaveNone(t *testing.T) {
	parser, err := kong.New(new(grammar), kong.Name("prog"))
	if err != nil {
		t.Fatal(err)
	}
	if err := completion.Write(new(strings.Builder), "csh", parser.Model); err == nil || !strings.Contains(err.Error(), "bash, zsh and fish") {
		t.Errorf("got %v", err)
	}
}
