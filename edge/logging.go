package edge

import (
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/logqueue"
)

// All loggers share these settings. They are set before the first logger is made, because
// each log line reads them.
func init() {
	zerolog.DurationFieldUnit = time.Millisecond
	zerolog.TimeFieldFormat = time.RFC3339Nano
}

// NewLogger returns the logger for changes of state, errors and audit. It writes
// synchronously, so that no line is lost.
func NewLogger(cfg config.LogConfig, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		level = zerolog.InfoLevel // config has refused what ParseLevel doesn't know
	}
	return zerolog.New(formatted(cfg, w)).Level(level).With().Timestamp().Logger()
}

// LogStart logs what starts, and the warnings that lb check would print.
func LogStart(log zerolog.Logger, version, file string, cfg *config.Config) {
	start := log.Info().Str("version", version).Str("file", file).Str("name", cfg.Name)
	if cfg.GSLB == nil {
		start.Str("policy", cfg.Hash.Policy)
	}
	start.Str("state_dir", cfg.StateDir).Msg("starting")
	for _, w := range cfg.Warnings() {
		log.Warn().Str("file", w.File).Int("line", w.Line).Str("key", w.Key).Str("warning", w.Message).Str("remedy", w.Hint).Msg("configuration warning")
	}
}

// accessLines is how many lines may wait for a slow reader before lines are dropped. A
// busy balancer writes about as many in a second.
const accessLines = 8192

// An accessLog is where the access log goes, in one of its forms. The zero accessLog has none.
type accessLog struct {
	json    *zerolog.Logger
	haproxy io.Writer
}

// newAccessLog returns the access log, the zero value if it is off. It never blocks: it drops
// and counts lines if the reader is too slow. close flushes the log.
func newAccessLog(cfg config.LogConfig, w io.Writer, reg prometheus.Registerer) (log accessLog, close func()) {
	if !cfg.Access {
		return accessLog{}, func() {}
	}
	dropped := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "lb_access_log_dropped_total",
		Help: "Access log lines dropped because their reader was too slow.",
	})
	reg.MustRegister(dropped)
	out := logqueue.Open(formatted(cfg, w), accessLines, func(lines int) { dropped.Add(float64(lines)) })
	if cfg.Format == config.LogFormatHAProxy {
		return accessLog{haproxy: out}, out.Close
	}
	l := zerolog.New(out).With().Timestamp().Logger()
	return accessLog{json: &l}, out.Close
}

// formatted returns a writer that writes lines to w in the configured format.
func formatted(cfg config.LogConfig, w io.Writer) io.Writer {
	if cfg.Format == "console" {
		return zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000"}
	}
	return w
}
