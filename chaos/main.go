// Command chaos breaks a region on purpose, and says whether the promises of docs/guarantees.md
// held: three balancers, five hosts, and users with terminals who change balancers. It needs
// root, because each process has a network of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tokenring/chaos/host"
)

// options are what a run is like.
type options struct {
	lb       string
	dir      string
	seed     uint64
	duration time.Duration
	users    int
	mutant   string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	if len(args) == 4 && args[0] == "host" {
		return exit(host.Run(ctx, host.Config{Name: args[1], Address: args[2], Record: args[3]}))
	}
	var o options
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.StringVar(&o.lb, "lb", "", "the program `lb`")
	flags.StringVar(&o.dir, "dir", "", "an empty `directory` for logs and records; default: one that is removed unless something is wrong")
	flags.Uint64Var(&o.seed, "seed", 0, "what happens follows from it; 0: another one each time")
	flags.DurationVar(&o.duration, "duration", 75*time.Second, "how long things break")
	flags.IntVar(&o.users, "users", 300, "how many users there are")
	flags.StringVar(&o.mutant, "mutant", "", "the mutant of an lb that is built with the tag mutants: a violation must be found")
	if flags.Parse(args) != nil {
		return 2
	}
	if o.lb == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "chaos: name the program under test: -lb bin/lb")
		return 2
	}
	if os.Getenv(isolated) == "" {
		return isolate(ctx, o)
	}
	return exit(chaos(ctx, o))
}

// exitUncounted is the exit code of a run without violations that doesn't count.
const exitUncounted = 3

func exit(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "chaos:", err)
	if errors.Is(err, errUncounted) {
		return exitUncounted
	}
	return 1
}
