package handover

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a message. A State of 2,000 hosts with a table has less than a megabyte.
const (
	maxPart    = 64 << 10  // bytes of a packet, below the kernel's default for a socket
	maxMessage = 256 << 20 // bytes of a body
	maxFiles   = 64        // of a message; the kernel passes 253 at most (SCM_MAX_FD)
)

// A packet is a header and a part of a message's body:
//
//	1 byte   flags
//	8 bytes  number of the call, big endian; 0 for a notice
//	1 byte   length of the kind
//	kind
//	the part
//
// Files come with the last packet of a message.
type header struct {
	flags  byte
	number uint64
	kind   string
}

// The flags of a header.
const (
	isAnswer = 1 << iota
	isError  // the body is the text of an error
	hasMore  // another packet of the message follows
)

const headSize = 10 // bytes before the kind

// send sends a message. If the other side takes nothing for sendTimeout, the connection is
// closed: it may have got half of the message.
func (c *Conn) send(h header, body any, files []*os.File) error {
	data, err := json.Marshal(body)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", h.kind, err)
	case len(data) > maxMessage || len(files) > maxFiles || len(h.kind) > 255:
		return fmt.Errorf("%s: %d bytes and %d files are too many for a message", h.kind, len(data), len(files))
	}
	rights, done, err := descriptors(files)
	if err != nil {
		return fmt.Errorf("%s: %w", h.kind, err)
	}
	defer done()
	c.sending.Lock()
	defer c.sending.Unlock()
	for first := true; first || len(data) > 0; first = false {
		part := data[:min(len(data), maxPart)]
		data = data[len(part):]
		var control []byte
		flags := h.flags | hasMore
		if len(data) == 0 {
			flags, control = h.flags, rights
		}
		if err := c.sendPacket(header{flags, h.number, h.kind}, part, control); err != nil {
			if !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
				c.Close() // else Run ends by itself, when it has read what the other process has sent before its end
			}
			return fmt.Errorf("%s: %w: %w", h.kind, ErrGone, err)
		}
	}
	return nil
}

func (c *Conn) sendPacket(h header, part, control []byte) error {
	packet := make([]byte, 0, headSize+len(h.kind)+len(part))
	packet = append(packet, h.flags)
	packet = binary.BigEndian.AppendUint64(packet, h.number)
	packet = append(packet, byte(len(h.kind)))
	packet = append(append(packet, h.kind...), part...)
	_ = c.socket.SetWriteDeadline(time.Now().Add(sendTimeout))
	_, _, err := c.socket.WriteMsgUnix(packet, control, nil)
	return err
}

// descriptors returns the control message that passes files. done must be called after it
// is sent: until then the descriptors stay open.
func descriptors(files []*os.File) (control []byte, done func(), err error) {
	if len(files) == 0 {
		return nil, func() {}, nil
	}
	copies := make([]int, 0, len(files))
	done = func() {
		for _, fd := range copies {
			_ = unix.Close(fd)
		}
	}
	for _, f := range files {
		fd, err := duplicate(f, unix.F_DUPFD_CLOEXEC)
		if err != nil {
			done()
			return nil, nil, err
		}
		copies = append(copies, fd)
	}
	return unix.UnixRights(copies...), done, nil
}

// Copy returns a copy of f, which the caller closes.
func Copy(f *os.File) (*os.File, error) {
	fd, err := duplicate(f, unix.F_DUPFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("copy a descriptor: %w", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// Inheritable returns a new descriptor of f that stays open in a program that this process
// executes. The caller closes it if there is none.
func Inheritable(f *os.File) (fd int, err error) { return duplicate(f, unix.F_DUPFD) }

// duplicate returns a new descriptor of f, by a command of fcntl(2); none of those of standard
// input, output and error. File.Fd would make a socket blocking, for all processes that share
// it.
func duplicate(f *os.File, command int) (fd int, err error) {
	const least = 3
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	if controlErr := raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, command, least) }); controlErr != nil {
		return -1, controlErr
	}
	return fd, err
}

// receive receives a message. The files belong to the caller, also with an error.
func (c *Conn) receive() (header, Message, error) {
	var m Message
	for late := false; ; {
		n, cn, flags, _, err := c.socket.ReadMsgUnix(c.packet, c.control)
		if m.Kind != "" && errors.Is(err, os.ErrDeadlineExceeded) && !late {
			// Run is to end, but the next Run would take the rest for a message.
			late = true
			_ = c.socket.SetReadDeadline(time.Now().Add(sendTimeout))
			continue
		}
		if errors.Is(err, unix.ECONNRESET) && !c.reset {
			// The other process has ended and hasn't read all. What it has sent before its
			// end is still to come.
			c.reset = true
			continue
		}
		if err != nil {
			return header{}, m, err
		}
		files, err := filesOf(c.control[:cn])
		m.Files = append(m.Files, files...)
		switch {
		case err != nil:
			return header{}, m, err
		case n == 0: // the end of a SOCK_SEQPACKET connection
			return header{}, m, io.EOF
		case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
			return header{}, m, errors.New("a message was cut: too long, or this process has no free descriptors")
		}
		h, part, err := parse(c.packet[:n])
		if err != nil {
			return header{}, m, err
		}
		m.Kind, m.Body = h.kind, append(m.Body, part...)
		switch {
		case len(m.Body) > maxMessage:
			return header{}, m, fmt.Errorf("%s: a message of more than %d bytes", h.kind, maxMessage)
		case h.flags&hasMore == 0:
			return h, m, nil
		}
	}
}

// parse reads a packet.
func parse(packet []byte) (header, []byte, error) {
	if len(packet) < headSize || len(packet) < headSize+int(packet[headSize-1]) {
		return header{}, nil, fmt.Errorf("a packet of %d bytes is too short", len(packet))
	}
	body := headSize + int(packet[headSize-1])
	return header{flags: packet[0], number: binary.BigEndian.Uint64(packet[1:]), kind: string(packet[headSize:body])}, packet[body:], nil
}

// filesOf returns the files that a control message passes.
func filesOf(control []byte) (files []*os.File, err error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("control message: %w", err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return files, fmt.Errorf("control message: %w", err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return files, nil
}
