// Command lb is a consistent-hashing load balancer for browser IDEs. This file
// holds the command line; each subcommand has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// Exit codes, for scripts.
const (
	exitOK     = 0
	exitFailed = 1 // it was started and failed
	exitUsage  = 2 // the command line or the configuration is wrong: trying again won't help
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// cli is the command line. Every field's help is what the user reads.
type cli struct {
	Run     runCmd     `cmd:"" help:"Run the balancer with a configuration file."`
	Check   checkCmd   `cmd:"" help:"Check a configuration file and say all that is wrong with it."`
	Agent   agentCmd   `cmd:"" help:"Announce this IDE host to the balancers' pool, until SIGTERM."`
	Demo    demoCmd    `cmd:"" help:"Run a balancer and three IDE hosts on this machine, to try it out."`
	Ctl     ctlCmd     `cmd:"" help:"See and steer a running balancer."`
	Explain explainCmd `cmd:"" help:"Say where tokens go with the hosts of a configuration file, and why."`
	Import  importCmd  `cmd:"" help:"Write the lb.yaml that takes over from a haproxy.cfg, and report each line of it."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

const description = `A consistent-hashing load balancer for browser IDEs.

It terminates TLS, hashes each user's token onto a ring of IDE hosts, and
carries their WebSocket terminals. Try "lb demo" first.

Exit codes: 0 for success, 1 when it failed while running, 2 when the command
line or the configuration is wrong.`

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	code, exited := exitOK, false
	parser, err := kong.New(&cli{}, kong.Name("lb"), kong.Description(description),
		kong.Writers(stdout, stderr), kong.Exit(func(c int) { code, exited = c, true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&streams{in: stdin, out: stdout, err: stderr}))
	if err != nil {
		panic(err) // the struct above is wrong
	}
	command, err := parser.Parse(args)
	if exited { // --help has printed its text
		return code
	}
	if err != nil {
		fmt.Fprintf(stderr, "lb: %v\nTry \"lb --help\", or \"lb <command> --help\".\n", err)
		return exitUsage
	}
	return report(command.Run(), stderr)
}

// streams are the program's standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// errUsage marks an error that trying again won't mend.
var errUsage = errors.New("usage")

// usageError makes err one that exits with exitUsage.
type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }
func (u usageError) Unwrap() error      { return u.error }

func report(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	fmt.Fprintln(stderr, "lb:", err)
	return exitFailed
}
