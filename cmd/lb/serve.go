package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"tokenring/edge"
	"tokenring/handover"
	"tokenring/parent"
)

// serveCmd is a generation: a process that "lb run" starts.
type serveCmd struct {
	Config string `short:"c" placeholder:"FILE" default:"lb.yaml"`
}

// The descriptors with which "lb run" starts a generation, beside standard input and output.
// Standard error is watched by the parent until the generation serves, and then is
// realErrors.
const (
	parentEnd  = 3
	realErrors = 4
	program    = 5
)

// Run serves until the last connection has ended.
func (c *serveCmd) Run(ctx context.Context, s *streams) error {
	conn, err := handover.New(os.NewFile(parentEnd, "parent"))
	if err != nil {
		return usageError{errors.New(`"lb serve" is started by "lb run", and by nobody else: use "lb run"`)}
	}
	unix.CloseOnExec(realErrors)
	unix.CloseOnExec(program)
	signal.Ignore(syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2) // they are for the parent
	signal.Ignore(syscall.SIGPIPE)                                  // a reader of the access log that leaves ends nobody's terminal
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	defer controlHeap(ctx)()
	return edge.RunGeneration(ctx, conn, edge.GenerationOptions{
		Version: version(), File: c.Config, Output: s.out, Errors: s.err,
		Started: func() { _ = unix.Dup3(realErrors, int(os.Stderr.Fd()), 0) }, // an error leaves the parent's pipe, which works as well
	})
}

// takeoverCmd says whether this program can take over from a parent, whose takeover it reads
// from standard input.
type takeoverCmd struct{}

// Run returns why not.
func (takeoverCmd) Run(s *streams) error { return parent.CheckTakeover(s.in) }
