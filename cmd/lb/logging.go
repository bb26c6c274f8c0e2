package main

import (
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"

	"tokenring/config"
)

// All loggers share these settings, and every line reads them: they are made
// before the first logger is.
func init() {
	zerolog.DurationFieldUnit = time.Millisecond
	zerolog.TimeFieldFormat = time.RFC3339Nano
}

// newLogger returns the logger for changes of state, faults and audit. It
// writes synchronously, so that none of it is lost.
func newLogger(cfg config.LogConfig, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		level = zerolog.InfoLevel // config has refused what ParseLevel doesn't know
	}
	return zerolog.New(formatted(cfg, w)).Level(level).With().Timestamp().Logger()
}

// accessLines is how many lines may wait for a slow reader before lines are
// dropped: about a second's worth on a busy edge.
const accessLines = 8192

// newAccessLog returns the logger for the access log, nil if it is off. It
// never blocks: what its reader doesn't take is dropped and counted. close
// flushes it.
func newAccessLog(cfg config.LogConfig, w io.Writer, reg prometheus.Registerer) (log *zerolog.Logger, close func()) {
	if !cfg.Access {
		return nil, func() {}
	}
	dropped := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "lb_access_log_dropped_total",
		Help: "Access log lines dropped because nobody read them fast enough.",
	})
	reg.MustRegister(dropped)
	// With a poll interval of 0 the writer waits to be woken instead of polling.
	out := diode.NewWriter(formatted(cfg, w), accessLines, 0, func(missed int) { dropped.Add(float64(missed)) })
	l := zerolog.New(out).With().Timestamp().Logger()
	return &l, func() { _ = out.Close() }
}

func formatted(cfg config.LogConfig, w io.Writer) io.Writer {
	if cfg.Format == "console" {
		return zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000"}
	}
	return w
}
