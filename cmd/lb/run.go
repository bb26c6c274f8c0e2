package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/edge"
	"tokenring/parent"
	"tokenring/systemd"
)

type runCmd struct {
	Config     string `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
	Foreground bool   `help:"Run as one process, for debugging: no reload and no upgrade, and a crash ends it."`
}

// Help is the text that --help adds.
func (runCmd) Help() string {
	return `Runs until SIGTERM or SIGINT. Then it says that it isn't ready, and accepts no new
connections after shutdown.delay. Open requests and terminals may go on for
shutdown.grace. Then it leaves the pool. A second SIGTERM or SIGINT ends it at once.

SIGHUP has a changed configuration take effect, and SIGUSR2 a new binary, without
cutting a terminal: see "lb ctl reload" and "lb ctl upgrade". For that a process of its
own serves, and is started again if it crashes.

The access log goes to standard output, and everything else to standard error, unless
log.output says something else. SIGUSR1 has files of logs opened anew, after a program
that rotates logs has moved them away.
Certificates, secrets and pool.hosts_file are read again when they change. Check a
file first with "lb check -c FILE".`
}

// Run runs the balancer until ctx ends.
func (c *runCmd) Run(ctx context.Context, s *streams) error {
	left, err := parent.TakenOver()
	if err != nil {
		return err
	}
	cfg, err := c.load(left)
	if err == nil && cfg.GSLB != nil {
		err = errForDNS
	}
	if err != nil {
		return usageError{err}
	}
	output, outputOK := s.out.(*os.File)
	errOutput, errorsOK := s.err.(*os.File)
	if c.Foreground || !outputOK || !errorsOK { // a process of its own can't write to anything but files
		return c.runForeground(ctx, s, cfg)
	}
	logs, err := edge.OpenLogs(cfg.Log, s.out, s.err)
	if err != nil {
		return err
	}
	defer logs.Close()
	log := edge.NewLogger(cfg.Log, logs.Events).With().Str("part", "parent").Logger()
	signal.Ignore(syscall.SIGPIPE) // a reader of the logs that leaves ends nobody's terminal
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	program, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := parent.New(parent.Options{
		Program: program, Arguments: []string{"serve", "-c", c.Config}, Check: []string{"check", "-c", c.Config},
		Socket: cfg.ControlSocket(), Ready: cfg.Generations.Ready,
		Notifier: systemd.FromEnvironment(log), Logger: log, Output: output, Errors: errOutput, Reopen: logs.Reopen, Signals: signals, Left: left,
	})
	if err != nil {
		return err
	}
	err = p.Run(ctx)
	var killed parent.KilledError
	switch {
	case errors.Is(err, parent.ErrStopped):
		return nil
	case errors.As(err, &killed):
		exitBySignal(killed.Signal)
	}
	return err
}

// load loads the configuration. A program that goes on in the place of another one takes the
// configuration that is in force, because terminals depend on it: the file may have a mistake
// by now. If it can't read that, it goes on with the defaults of what a parent needs.
func (c *runCmd) load(left *parent.Takeover) (*config.Config, error) {
	if left == nil {
		return config.Load(c.Config)
	}
	cfg, err := config.Parse(c.Config, left.Config)
	if err != nil {
		return new(config.Config), nil
	}
	return cfg, nil
}

// runForeground runs the balancer in this process.
func (c *runCmd) runForeground(ctx context.Context, s *streams, cfg *config.Config) error {
	logs, err := edge.OpenLogs(cfg.Log, s.out, s.err)
	if err != nil {
		return err
	}
	defer logs.Close()
	log := edge.NewLogger(cfg.Log, logs.Events)
	ctx, done := untilStopped(ctx, log)
	defer done()
	defer onSignal(syscall.SIGHUP, func() {
		log.Warn().Msg("SIGHUP does nothing with --foreground: certificates are read again when their files change, and other changes need a restart")
	})()
	defer reopenLogs(logs, log)()
	edge.LogStart(log, version(), c.Config, cfg)
	sockets, err := edge.Listen(cfg, edge.Here{})
	if err != nil {
		return err
	}
	e, err := edge.New(cfg, sockets, edge.Options{Version: version(), Logger: log, AccessLog: logs.Access})
	if err != nil {
		return err
	}
	defer controlHeap(ctx)()
	return e.Run(ctx)
}

// reopenLogs has SIGUSR1 open the files of logs anew, until stop is called.
func reopenLogs(logs *edge.Logs, log zerolog.Logger) (stop func()) {
	return onSignal(syscall.SIGUSR1, func() {
		if err := logs.Reopen(); err != nil {
			log.Error().Err(err).Msg("a log can't be opened anew: lines go on to the file before")
		}
	})
}

// controlHeap starts edge.ControlHeap. The caller calls stop, which waits for its end.
func controlHeap(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var heap sync.WaitGroup
	heap.Go(func() { edge.ControlHeap(ctx) })
	return func() {
		cancel()
		heap.Wait()
	}
}

// onSignal calls do each time a signal comes, which otherwise would end the process. SIGHUP is
// one that operators send to many programs to have the configuration read again.
func onSignal(which os.Signal, do func()) (stop func()) {
	come, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(come, which)
	go func() {
		defer close(done)
		for range come {
			do()
		}
	}()
	return func() {
		signal.Stop(come)
		close(come)
		<-done
	}
}
