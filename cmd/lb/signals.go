package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// untilTold returns a context that ends with the first SIGINT or SIGTERM, for a
// command that runs until then and needs some time to stop. The second one ends the
// process at once, and is logged. done gives the signals back. Other commands end by
// the signal itself, even while they wait for standard input.
func untilTold(ctx context.Context, log zerolog.Logger) (told context.Context, done context.CancelFunc) {
	told, stop := context.WithCancel(ctx)
	signals, ended := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-signals:
			stop()
		case <-ended:
			return
		}
		select {
		case second := <-signals:
			log.Warn().Stringer("signal", second).Msg("a second signal: ending at once")
			dieBy(second)
		case <-ended:
		}
	}()
	return told, func() {
		signal.Stop(signals)
		close(ended)
		<-watching
		stop()
	}
}

// untilEnded returns a context that ends with any signal by which a user or a
// terminal that closes ends a program; a second one ends the process at once. If
// nobody reads the output any more, writing it is an error and doesn't end the process.
func untilEnded(ctx context.Context) (context.Context, context.CancelFunc) {
	ends := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT}
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, done := signal.NotifyContext(ctx, ends...)
	context.AfterFunc(ctx, done)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE)
	return ctx, func() {
		signal.Stop(pipes)
		done()
	}
}

// dieBy ends the process by a signal, as if nobody had caught it, so that whoever
// waits for the process sees what ended it. A process that was started with the signal
// ignored survives that, as those do that a shell's script runs in the background; it
// exits with the code that shells give to the signal.
func dieBy(s os.Signal) {
	number := s.(syscall.Signal)
	signal.Reset(s)
	_ = syscall.Kill(os.Getpid(), number)
	time.Sleep(100 * time.Millisecond) // until the signal has come
	os.Exit(128 + int(number))
}
