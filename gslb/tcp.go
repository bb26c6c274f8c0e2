package gslb

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/dnswire"
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// serveTCP answers queries on the connections that come to a listener (RFC 7766), until ctx ends
// and the last connection has. A connection beyond the limit is closed at once.
func (s *Server) serveTCP(ctx context.Context, ln *net.TCPListener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.SetDeadline(past) })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := ln.AcceptTCP()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case isShortage(err):
			time.Sleep(acceptAgain) // connections that end give back what is missing
			continue
		case err != nil:
			return fmt.Errorf("accept at %s: %w", ln.Addr(), err)
		}
		select {
		case s.connections <- struct{}{}:
			open.Go(func() {
				defer func() { <-s.connections }()
				s.serveConn(ctx, conn)
			})
		default:
			s.tcp.refused.Add(1)
			conn.Close()
		}
	}
}

// acceptAgain is after which time a listener tries again that lacked a file or memory.
const acceptAgain = 50 * time.Millisecond

// isShortage reports whether an error of accept ends by itself: see accept(2).
func isShortage(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// serveConn answers the queries of a connection, one after the other, until it has been quiet for
// the idle time, sends what can't be read, or ctx ends.
func (s *Server) serveConn(ctx context.Context, conn *net.TCPConn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	defer stop()
	from, ok := netip.AddrFromSlice(conn.RemoteAddr().(*net.TCPAddr).IP)
	if !ok {
		return
	}
	in := bufio.NewReaderSize(conn, maxQuery)
	var query dnswire.Query
	var message, out []byte
	var cookie [64]byte
	for {
		_ = conn.SetDeadline(time.Now().Add(s.idle)) // the whole query must come within it, and the answer go
		if ctx.Err() != nil {
			return
		}
		var err error
		if message, err = readMessage(in, message); err != nil || !query.Read(message) {
			return
		}
		table := s.table.Load()
		body, scope := table.Find(&query, from.Unmap())
		reply := s.reply(&query, table, scope, from.Unmap(), time.Now(), cookie[:0])
		reply.TCP, reply.Keepalive = true, uint16(s.idle/(100*time.Millisecond))
		out = query.AppendAnswer(append(out[:0], 0, 0), body, &reply)
		binary.BigEndian.PutUint16(out, uint16(len(out)-2))
		s.tcp.add(body.Rcode)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// readMessage reads a message after its length into b, or a larger slice, and returns it.
func readMessage(in io.Reader, b []byte) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return b, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if cap(b) < n {
		b = make([]byte, n)
	}
	_, err := io.ReadFull(in, b[:n])
	return b[:n], err
}
