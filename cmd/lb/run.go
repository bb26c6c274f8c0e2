package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"

	"tokenring/config"
)

type runCmd struct {
	Config string `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
}

// Help is the text that --help adds.
func (runCmd) Help() string {
	return `Runs until SIGTERM or SIGINT. Then it takes no new connections, lets requests
finish and terminals go on for timeouts.shutdown, and leaves the pool. A second
SIGTERM or SIGINT ends it at once.

The access log goes to standard output, everything else to standard error.
Certificates are read again when their files change. Check a file first with
"lb check -c FILE".`
}

// Run runs the balancer until ctx ends.
func (c *runCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return usageError{err}
	}
	log := newLogger(cfg.Log, s.err)
	ctx, done := untilTold(ctx, log)
	defer done()
	defer ignoreHangup(log)()
	logStart(log, c.Config, cfg)
	logWarnings(cfg, log)
	e, err := newEdge(cfg, log, s.out)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var heap sync.WaitGroup
	heap.Go(func() { keepHeap(background) })
	defer heap.Wait()
	defer stop()
	return e.Run(ctx)
}

// logWarnings says once what lb check warns of.
func logWarnings(cfg *config.Config, log zerolog.Logger) {
	for _, w := range cfg.Warnings() {
		log.Warn().Str("file", w.File).Int("line", w.Line).Str("key", w.Key).Str("warning", w.Message).Str("remedy", w.Hint).Msg("configuration warning")
	}
}

// ignoreHangup keeps SIGHUP, which operators send to have a configuration read
// again, from ending the process and every terminal with it.
func ignoreHangup(log zerolog.Logger) (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			log.Warn().Msg("SIGHUP does nothing: certificates are read again by themselves, the rest takes a restart")
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}
