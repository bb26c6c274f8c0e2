package edge

import (
	"errors"
	"io"

	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/logsink"
)

// Logs are where the lines of one process go. They are safe for concurrent use.
type Logs struct {
	Access io.Writer // the access log
	Events io.Writer // everything else
	sinks  []logsink.Sink
}

// OpenLogs opens what cfg names. out and err are the standard streams. The caller calls Close.
func OpenLogs(cfg config.LogConfig, out, err io.Writer) (*Logs, error) {
	l := &Logs{Access: out, Events: err}
	standard := map[string]io.Writer{logsink.Stdout: out, logsink.Stderr: err}
	if cfg.Output != "" {
		all, openErr := l.open(cfg.Output, standard)
		if openErr != nil {
			return nil, openErr
		}
		l.Access, l.Events = all, all
		if sink, ok := all.(logsink.Sink); ok {
			l.Events = certain{sink, err}
		}
	}
	if cfg.AccessOutput != "" {
		var openErr error
		if l.Access, openErr = l.open(cfg.AccessOutput, standard); openErr != nil {
			l.Close()
			return nil, openErr
		}
	}
	return l, nil
}

// open opens one destination.
func (l *Logs) open(text string, standard map[string]io.Writer) (io.Writer, error) {
	if w, ok := standard[text]; ok {
		return w, nil
	}
	to, err := logsink.Parse(text)
	if err != nil {
		return nil, err
	}
	sink, err := to.Open("lb")
	if err != nil {
		return nil, err
	}
	l.sinks = append(l.sinks, sink)
	return sink, nil
}

// Reopen opens files anew that a program which rotates logs has moved away. It does nothing on
// nil.
func (l *Logs) Reopen() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, s := range l.sinks {
		errs = append(errs, s.Reopen())
	}
	return errors.Join(errs...)
}

// Close closes what OpenLogs has opened. It does nothing on nil.
func (l *Logs) Close() {
	if l == nil {
		return
	}
	for _, s := range l.sinks {
		_ = s.Close() // nothing is written after it
	}
}

// A certain writer writes lines to standard error that its Sink doesn't take.
type certain struct {
	logsink.Sink
	standard io.Writer
}

// WriteLevel implements zerolog.LevelWriter.
func (c certain) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	write := c.Sink.Write
	if leveled, ok := c.Sink.(zerolog.LevelWriter); ok {
		write = func(line []byte) (int, error) { return leveled.WriteLevel(level, line) }
	}
	if _, err := write(line); err == nil {
		return len(line), nil
	}
	return c.standard.Write(line)
}

// Write implements io.Writer.
func (c certain) Write(line []byte) (int, error) { return c.WriteLevel(zerolog.InfoLevel, line) }
