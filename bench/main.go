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
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// cli is the command line.
type cli struct {
	LB       string        `name:"lb" required:"" placeholder:"FILE" help:"The lb binary to measure."`
	Rounds   int           `default:"3" help:"How often each figure is taken; memory, which takes long and varies little, in every third round."`
	Duration time.Duration `default:"2500ms" help:"How long costs and delays are measured for, each time."`
	Only     []string      `placeholder:"a,b,…" help:"Take only these measurements: a small answers, b large answers, c new TLS connections, d idle terminals, e talking terminals, f a wave of reconnects."`
	Smoke    bool          `help:"Everything once and in miniature: tells whether this still works, not how good lb is."`
	Markdown bool          `help:"Print one table, as Markdown, for README.md."`
	Profile  string        `type:"existingdir" placeholder:"DIR" help:"Have perf record lb there, a file for each measurement; read them with perf report -i FILE. Figures are too high then."`
}

// run is the whole program. It returns the exit code: 0 if every figure is
// there and nothing failed, 1 if not, 2 if the command line is wrong.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && roles[args[0]] != nil {
		return exit(play(ctx, args, stdin, stdout), stderr)
	}
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
		return exit(err, stderr)
	}
	form := text
	if o.Markdown {
		form = markdown
	}
	fmt.Fprint(stdout, r.render(form))
	return exit(r.fault(), stderr)
}

// exit says what went wrong, if anything did, and returns the exit code.
func exit(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "bench:", err)
	return 1
}

func parse(args []string, stdout, stderr io.Writer) (o cli, exited bool, err error) {
	parser, err := kong.New(&o, kong.Name("bench"), kong.Writers(stdout, stderr),
		kong.Description("What lb costs and holds, beside HAProxy and nginx."),
		kong.Exit(func(int) { exited = true }))
	if err != nil {
		panic(err) // the struct above is wrong
	}
	if _, err = parser.Parse(args); err != nil || exited {
		return o, exited, err
	}
	if o.Rounds < 1 || o.Duration < time.Second || o.Duration > time.Minute {
		err = errors.New("want --rounds of at least 1, and a --duration from 1s to 1m")
	}
	return o, false, err
}

func (o cli) scale() scale {
	if o.Smoke {
		return smokeScale()
	}
	return fullScale(o.Rounds, o.Duration)
}

// compare sets the stage, the IDE hosts and a directory, and takes all figures.
func compare(ctx context.Context, o cli, progress io.Writer) (*report, error) {
	s := &stage{scale: o.scale(), ip: ownLoopback(), ports: 10000, profiles: o.Profile, progress: progress}
	if err := allowDescriptors(s.descriptors()); err != nil {
		return nil, err
	}
	cores, err := pin()
	if err != nil {
		return nil, err
	}
	s.core = cores.proxy
	if s.dir, err = os.MkdirTemp("", "lb-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(s.dir)
	if err := writeFiles(s.dir, s.ip); err != nil {
		return nil, err
	}
	if s.ides, err = listen(hostCount); err != nil {
		return nil, err
	}
	questions, err := chosen(s.measurements(), o.Only)
	if err != nil {
		s.ides.close()
		return nil, err
	}
	all := proxies(o.LB)
	r, err := s.open(ctx, all, questions)
	if err != nil {
		return nil, err
	}
	r.about = about(ctx, cores, all)
	return r, nil
}
