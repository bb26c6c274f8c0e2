package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// untilStopped returns a context that ends with the first SIGINT or SIGTERM. It is for a
// command that runs until then and needs some time to stop. The second signal ends the
// process at once, and is logged. done ends the handling of signals. Other commands don't
// handle the signals, so they end at once even while they wait for standard input.
func untilStopped(ctx context.Context, log zerolog.Logger) (stopped context.Context, done context.CancelFunc) {
	return untilStoppedAfter(ctx, log, func(<-chan os.Signal, <-chan struct{}) {})
}

// untilStoppedAfter is untilStopped with something to do between the first signal and the
// end of the context. beforeStop returns at once when another signal comes or ended is
// closed; then it takes one more signal to end the process.
func untilStoppedAfter(ctx context.Context, log zerolog.Logger, beforeStop func(signals <-chan os.Signal, ended <-chan struct{})) (stopped context.Context, done context.CancelFunc) {
	stopped, stop := context.WithCancel(ctx)
	signals, ended := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-signals:
			beforeStop(signals, ended)
			stop()
		case <-ended:
			return
		}
		select {
		case second := <-signals:
			log.Warn().Stringer("signal", second).Msg("a second signal: ending at once")
			exitBySignal(second)
		case <-ended:
		}
	}()
	return stopped, func() {
		signal.Stop(signals)
		close(ended)
		<-watching
		stop()
	}
}

// untilAnySignal returns a context that ends with any signal by which a user or a closing
// terminal ends a program. The second signal ends the process at once. If the reader of
// the output has gone, a write returns an error and doesn't end the process.
func untilAnySignal(ctx context.Context) (context.Context, context.CancelFunc) {
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

// exitBySignal ends the process by a signal as if the process didn't handle it. So the
// parent process sees which signal ended it. Some processes ignore the signal from their
// start, such as background processes of a shell script. They exit with the code that
// shells use for the signal.
func exitBySignal(s os.Signal) {
	number := s.(syscall.Signal)
	signal.Reset(s)
	_ = syscall.Kill(os.Getpid(), number)
	time.Sleep(100 * time.Millisecond) // until the signal has come
	os.Exit(128 + int(number))
}
