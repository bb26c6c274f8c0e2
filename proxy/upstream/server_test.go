package upstream

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
)

// A reply is what a server sends when it is asked for one path.
type reply struct {
	text  string
	holds bool // the connection stays open until the client closes it
}

// A server gives each connection one reply, by the path of its request.
type server struct {
	address string

	mu   sync.Mutex
	got  strings.Builder // all heads
	open sync.WaitGroup
}

// serve starts a server, which ends with the test.
func serve(t *testing.T, replies map[string]reply) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: ln.Addr().String()}
	s.open.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.open.Go(func() { s.answer(nc, replies) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.open.Wait()
	})
	return s
}

// answer reads one request and sends its reply.
func (s *server) answer(nc net.Conn, replies map[string]reply) {
	defer nc.Close()
	in := bufio.NewReader(nc)
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		head.WriteString(line)
	}
	s.mu.Lock()
	s.got.WriteString(head.String())
	s.mu.Unlock()
	_, target, _ := strings.Cut(head.String(), " ")
	target, _, _ = strings.Cut(target, " ")
	path, _, _ := strings.Cut(target, "?")
	r := replies[path]
	if _, err := nc.Write([]byte(r.text)); err == nil && r.holds {
		_, _ = in.ReadByte()
	}
}

// received returns the heads that have come.
func (s *server) received() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}
