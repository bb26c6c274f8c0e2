package logsink

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// Facility and severities of RFC 5424 §6.2.1.
const (
	daemon  = 3
	failure = 3
	warning = 4
	info    = 6
	debug   = 7
)

// A syslog is a Sink that sends each line as a message of RFC 5424, in a datagram. A receiver
// that isn't there, or takes nothing, costs lines and no time: it is tried again once a second.
type syslog struct {
	Destination
	patience time.Duration // for which a receiver may take nothing
	header   []byte        // the part of the header after the time: HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA

	mu      sync.Mutex
	conn    net.Conn // nil if there is none
	retry   time.Time
	message []byte // a buffer
}

const (
	sendTimeout = 10 * time.Millisecond
	retryAfter  = time.Second
	nilValue    = "-"
)

func newSyslog(d Destination, name string) *syslog {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = nilValue
	}
	return &syslog{Destination: d, patience: sendTimeout, header: fmt.Appendf(nil, " %s %s %d - - ", host, name, os.Getpid())}
}

// Write implements Sink, for a line of the access log.
func (s *syslog) Write(line []byte) (int, error) { return s.WriteLevel(zerolog.InfoLevel, line) }

// WriteLevel implements zerolog.LevelWriter.
func (s *syslog) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if err := s.connect(now); err != nil {
		return 0, err
	}
	s.message = strconv.AppendInt(append(s.message[:0], '<'), daemon*8+severity(level), 10)
	s.message = append(s.message, ">1 "...)
	s.message = now.UTC().AppendFormat(s.message, "2006-01-02T15:04:05.000000Z")
	s.message = append(s.message, s.header...)
	s.message = append(s.message, bytes.TrimSuffix(line, []byte("\n"))...)
	if err := s.send(); err != nil {
		if !errors.Is(err, unix.EMSGSIZE) {
			s.drop(now)
		}
		return 0, fmt.Errorf("syslog: %w", err)
	}
	return len(line), nil
}

// send sends the message. Only a receiver that takes nothing costs it time: a deadline that had
// passed before the first attempt, on a machine that is busy, would fail without one. mu is held.
func (s *syslog) send() error {
	raw, err := s.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		_, sent = unix.Write(int(fd), s.message)
		return true
	})
	if err != nil || !errors.Is(sent, unix.EAGAIN) {
		return errors.Join(err, sent)
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.patience)) // an error comes with the write, too
	_, err = s.conn.Write(s.message)
	_ = s.conn.SetWriteDeadline(time.Time{})
	return err
}

// connect connects unless there is a connection. mu is held.
func (s *syslog) connect(now time.Time) error {
	if s.conn != nil {
		return nil
	}
	if now.Before(s.retry) {
		return fmt.Errorf("syslog: %s can't be reached", s.Address)
	}
	conn, err := net.DialTimeout(s.Network, s.Address, retryAfter)
	if err != nil {
		s.retry = time.Now().Add(retryAfter)
		return fmt.Errorf("syslog: %w", err)
	}
	s.conn = conn
	return nil
}

// drop ends the connection. mu is held.
func (s *syslog) drop(now time.Time) {
	if s.conn != nil {
		s.conn.Close()
		s.conn, s.retry = nil, now.Add(retryAfter)
	}
}

// Reopen implements Sink.
func (s *syslog) Reopen() error { return nil }

// Close implements Sink.
func (s *syslog) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(time.Now())
	return nil
}

func severity(level zerolog.Level) int64 {
	switch {
	case level >= zerolog.ErrorLevel && level <= zerolog.PanicLevel:
		return failure
	case level == zerolog.WarnLevel:
		return warning
	case level == zerolog.DebugLevel || level == zerolog.TraceLevel:
		return debug
	}
	return info
}
