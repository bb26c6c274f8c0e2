// Package logsink has the places to which logs go, besides the standard streams: a file that is
// opened again when a program has moved it away, and syslog (RFC 5424).
package logsink

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// A Sink takes lines: each Write is one. A line that can't be written is lost, and the error
// says why. A Sink is safe for concurrent use.
type Sink interface {
	io.Writer
	// Reopen opens the file anew, if the Sink is one: a program that rotates logs has moved it
	// away. If that fails, lines go on to the file before.
	Reopen() error
	Close() error
}

// The words of standard streams, which aren't Sinks.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Forms says what a destination looks like, for errors.
const Forms = "stdout, stderr, the path of a file, syslog, syslog:/dev/log or syslog:udp://IP:514"

const (
	syslogWord   = "syslog"
	syslogSocket = "/dev/log"
)

// A Destination is a place to which logs go, as the configuration names it.
type Destination struct {
	File    string // its path; "" for syslog
	Network string // of syslog: unixgram or udp
	Address string // of syslog
}

// Parse reads the destination of a text that is neither Stdout nor Stderr.
func Parse(text string) (Destination, error) {
	rest, isSyslog := strings.CutPrefix(text, syslogWord+":")
	udp, isUDP := strings.CutPrefix(rest, "udp://")
	switch {
	case text == syslogWord:
		return Destination{Network: "unixgram", Address: syslogSocket}, nil
	case isSyslog && isUDP:
		if _, err := netip.ParseAddrPort(udp); err != nil {
			return Destination{}, fmt.Errorf("%q is no IP:PORT; a name isn't looked up, because that would delay what is logged", udp)
		}
		return Destination{Network: "udp", Address: udp}, nil
	case isSyslog && strings.HasPrefix(rest, "/"):
		return Destination{Network: "unixgram", Address: rest}, nil
	case isSyslog:
		return Destination{}, fmt.Errorf("%q is neither udp://IP:PORT nor the path of a socket", rest)
	case text != "" && !strings.ContainsAny(text, "/."):
		return Destination{}, fmt.Errorf("%q isn't known; the path of a file has a / or a dot", text)
	case text == "":
		return Destination{}, fmt.Errorf("the destination of logs is missing; there are %s", Forms)
	}
	return Destination{File: text}, nil
}

// Open opens a destination. name is the program's, for syslog. A file is made if it isn't there,
// for its owner and group alone. Syslog needn't be there.
func (d Destination) Open(name string) (Sink, error) {
	if d.File != "" {
		return openFile(d.File)
	}
	return newSyslog(d, name), nil
}
