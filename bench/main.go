// Command bench puts lb beside the proxies that it replaces: each does the very
// same job, one after the other, on a core of its own, and what that costs is
// read from the kernel. bench/run builds and starts it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// cli is the command line.
type cli struct {
	LB       string        `name:"lb" required:"" placeholder:"FILE" help:"The lb binary to measure."`
	Rounds   int           `default:"5" help:"How often each figure is taken."`
	Duration time.Duration `default:"4s" help:"How long each figure is taken for."`
	Smoke    bool          `help:"One round of one second: tells whether this still works, not how fast lb is."`
	Markdown bool          `help:"Print the tables as Markdown."`
}

// run is the whole program. It returns the exit code: 0 if every figure is
// there and no request failed, 1 if not, 2 if the command line is wrong.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, exited, err := parse(args, stdout, stderr)
	switch {
	case exited: // --help has printed its text
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	r, err := compare(ctx, o, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	form := text
	if o.Markdown {
		form = markdown
	}
	fmt.Fprint(stdout, r.render(form))
	if err := r.fault(); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func parse(args []string, stdout, stderr io.Writer) (o cli, exited bool, err error) {
	parser, err := kong.New(&o, kong.Name("bench"), kong.Writers(stdout, stderr),
		kong.Description("CPU per request of lb, beside HAProxy and nginx."),
		kong.Exit(func(int) { exited = true }))
	if err != nil {
		panic(err) // the struct above is wrong
	}
	if _, err = parser.Parse(args); err != nil || exited {
		return o, exited, err
	}
	if o.Smoke {
		o.Rounds, o.Duration = 1, time.Second
	}
	if o.Rounds < 1 || o.Duration < time.Second || o.Duration > time.Minute {
		err = errors.New("want --rounds of at least 1, and a --duration from 1s to 1m")
	}
	return o, false, err
}

// compare sets the stage, the IDE hosts and a directory, and takes all figures.
func compare(ctx context.Context, o cli, progress io.Writer) (*report, error) {
	cores, err := pin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lb-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := writeFiles(dir); err != nil {
		return nil, err
	}
	ides, err := listen(3)
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, core: cores.proxy, ides: ides, window: o.Duration, rounds: o.Rounds, progress: progress}
	all := proxies(o.LB)
	r, err := s.open(ctx, all)
	if err != nil {
		return nil, err
	}
	r.about = about(ctx, cores, all)
	return r, nil
}
