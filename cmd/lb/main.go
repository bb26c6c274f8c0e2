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

	"tokenring/parent"
)

// Exit codes, for scripts.
const (
	exitOK     = 0
	exitFailed = 1 // it failed while running
	exitUsage  = 2 // the command line or the configuration is wrong; it fails again until that is changed
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// cli is the command line. The help of each field is a text for users.
type cli struct {
	Run         runCmd         `cmd:"" help:"Run the balancer with a configuration file."`
	Check       checkCmd       `cmd:"" help:"Check a configuration file and show all its mistakes."`
	DNS         dnsCmd         `cmd:"" name:"dns" help:"Answer queries of the DNS, so that users come to a region that serves."`
	Agent       agentCmd       `cmd:"" help:"Announce this IDE host to the balancers, until SIGTERM."`
	Demo        demoCmd        `cmd:"" help:"Run a balancer and three IDE hosts on this machine, to try it out."`
	Ctl         ctlCmd         `cmd:"" help:"See and steer a running balancer."`
	Explain     explainCmd     `cmd:"" help:"Say where tokens go with the hosts of a configuration file, and why."`
	Fingerprint fingerprintCmd `cmd:"" help:"Print the key by which hosts with a gate know this balancer."`
	Healthcheck healthcheckCmd `cmd:"" help:"Say by the exit code whether the balancer on this machine is healthy."`
	Import      importCmd      `cmd:"" help:"Write the lb.yaml that replaces a haproxy.cfg, and report each line of the haproxy.cfg."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
	Serve       serveCmd       `cmd:"" hidden:""`
	Takeover    takeoverCmd    `cmd:"" hidden:""`

	Completion completionCmd `cmd:"" help:"Print what makes a shell complete the commands and flags of lb."`
	Manpages   manpagesCmd   `cmd:"" hidden:"" help:"Write the manual pages."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version and the commit."`
}

const description = `A consistent-hashing load balancer for browser IDEs.

It terminates TLS, hashes each user's token onto a ring of IDE hosts, and
carries their WebSocket terminals. Try "lb demo" first.

Exit codes: 0 for success, 1 when it failed while running, 2 when the command
line or the configuration is wrong.`

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	code, exited := exitOK, false
	parser, err := newParser(&cli{}, &streams{in: stdin, out: stdout, err: stderr},
		kong.Exit(func(c int) { code, exited = c, true }), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		panic(err) // cli is wrong
	}
	command, err := parser.Parse(args)
	if exited { // --help or --version has printed its text
		return code
	}
	if err != nil {
		fmt.Fprintf(stderr, "lb: %v\nTry \"lb --help\", or \"lb <command> --help\".\n", err)
		return exitUsage
	}
	return report(command.Run(), stderr)
}

// newParser returns the parser of the command line.
func newParser(c *cli, s *streams, more ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append(more, kong.Name("lb"), kong.Description(description),
		kong.Writers(s.out, s.err), kong.Vars{"version": versionLine()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Bind(s))...)
}

// streams are the program's standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// errUsage marks an error of the command line or the configuration.
var errUsage = errors.New("usage")

// A usageError is an error with which the program exits with exitUsage.
type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }
func (u usageError) Unwrap() error      { return u.error }

// report prints err, if there is one, and returns the exit code.
func report(err error, stderr io.Writer) int {
	var ended parent.ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &ended): // which has said why
		return ended.Code
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	fmt.Fprintln(stderr, "lb:", err)
	return exitFailed
}
