package manpage_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"tokenring/manpage"
)

var update = flag.Bool("update", false, "rewrite the pages in testdata")

// The command line of the tests.
type grammar struct {
	Serve serveCmd `cmd:"" help:"Serve it. Not now."`
	Ctl   struct {
		Config string   `short:"c" placeholder:"FILE" help:"The file."`
		State  struct{} `cmd:"" help:"Show the state."`
	} `cmd:"" help:"Control it."`
	Secret struct{} `cmd:"" hidden:"" help:"Nothing."`
}

type serveCmd struct {
	Name   string   `required:"" env:"SERVE_NAME" help:"Its name isn't the host's."`
	Port   int      `default:"80" help:"Where."`
	Fast   bool     `short:"f" help:"Don't wait."`
	Within string   `hidden:"" help:"Nothing."`
	File   string   `arg:"" placeholder:"FILE" help:"What to serve: a long text that says this in so many words that the line must be broken somewhere."`
	More   []string `arg:"" optional:"" help:"More files."`
}

func (serveCmd) Help() string {
	return `A back\slash, a hyphen-minus, and a line that begins with a dot as does .profile
here.

The second paragraph has examples:

  serve --fast    'now'
  .hidden

It ends here.`
}

var about = manpage.About{
	Source: "prog v1.2", Manual: "Tests", Date: "2026-01-02",
	Exit:  []manpage.Exit{{Code: 0, Meaning: "Success."}, {Code: 1, Meaning: "Failure."}},
	Files: []manpage.File{{Path: "/etc/prog-x.yaml", Content: "The configuration."}},
}

func write(t *testing.T, dir string) []string {
	t.Helper()
	parser, err := kong.New(new(grammar), kong.Name("prog"), kong.Description("A program.\n\nIt has a description."))
	if err != nil {
		t.Fatal(err)
	}
	names, err := manpage.Write(dir, parser.Model, about)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

const golden = "../testdata/manpage"

// TestPagesSayWhatHelpSays compares the pages with those in testdata.
func TestPagesSayWhatHelpSays(t *testing.T) {
	dir := t.TempDir()
	if *update {
		dir = golden
	}
	names := write(t, dir)
	if want := []string{"prog.1", "prog-serve.1", "prog-ctl.1", "prog-ctl-state.1"}; !slices.Equal(names, want) {
		t.Errorf("got the pages %q, want %q", names, want)
	}
	for _, name := range names {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestMandocHasNothingToSay has mandoc check the style of the pages.
func TestMandocHasNothingToSay(t *testing.T) {
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip("mandoc isn't installed; the package's test has it")
	}
	dir := t.TempDir()
	for _, name := range write(t, dir) {
		out, err := exec.Command("mandoc", "-Tlint", "-W", "style", filepath.Join(dir, name)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestADirectoryThatIsMissingIsNamed(t *testing.T) {
	parser, err := kong.New(new(grammar), kong.Name("prog"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manpage.Write(filepath.Join(t.TempDir(), "none"), parser.Model, about); err == nil || !strings.Contains(err.Error(), "none/prog.1") {
		t.Errorf("got %v", err)
	}
}
