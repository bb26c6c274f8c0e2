package parent

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"

	"tokenring/gossip"
	"tokenring/handover"
)

// sockets are the listening sockets. They stay open while a generation has asked for them,
// so that no connection is refused when one generation takes the place of another. It is
// safe for concurrent use.
type sockets struct {
	mu    sync.Mutex
	files map[handover.Socket][]*os.File
}

func newSockets() *sockets { return &sockets{files: map[handover.Socket][]*os.File{}} }

// open returns copies of the files of a socket, and opens it first if it isn't open. The
// copies belong to the caller.
func (s *sockets) open(want handover.Socket, g *generation) ([]*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files, ok := s.files[want]
	if !ok {
		var err error
		if files, err = listen(want); err != nil {
			return nil, err
		}
		s.files[want] = files
		g.opened = append(g.opened, want)
	}
	g.files[want] = true
	return duplicate(files)
}

// keep closes the sockets that none of some generations has asked for.
func (s *sockets) keep(wanted ...*generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, files := range s.files {
		if !slices.ContainsFunc(wanted, func(g *generation) bool { return g.files[name] }) {
			handover.CloseAll(files)
			delete(s.files, name)
		}
	}
}

// discard closes the sockets that were opened for g and that none of others has asked for.
func (s *sockets) discard(g *generation, others []*generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range g.opened {
		if !slices.ContainsFunc(others, func(o *generation) bool { return o.files[name] }) {
			handover.CloseAll(s.files[name])
			delete(s.files, name)
		}
	}
}

// each calls do for each socket.
func (s *sockets) each(do func(name handover.Socket, files []*os.File)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, files := range s.files {
		do(name, files)
	}
}

// askedBy returns the sockets that g has asked for.
func (s *sockets) askedBy(g *generation) []handover.Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(g.files))
}

// close closes all sockets.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, files := range s.files {
		handover.CloseAll(files)
	}
	clear(s.files)
}

// listen opens a socket and returns its files: the one for streams first.
func listen(want handover.Socket) ([]*os.File, error) {
	switch want.Network {
	case handover.StreamSocket:
		ln, err := net.Listen("tcp", want.Address)
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		return filesOf(ln.(*net.TCPListener))
	case handover.GossipSockets:
		both, err := gossip.Listen(want.Address)
		if err != nil {
			return nil, err
		}
		defer both.Close()
		return filesOf(both.Streams.(*net.TCPListener), both.Packets.(*net.UDPConn))
	}
	return nil, fmt.Errorf("the parent is of a version that doesn't know sockets of %q", want.Network)
}

// filesOf returns copies of sockets as files.
func filesOf(all ...interface{ File() (*os.File, error) }) ([]*os.File, error) {
	var files []*os.File
	for _, s := range all {
		f, err := s.File()
		if err != nil {
			handover.CloseAll(files)
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// duplicate returns copies of files.
func duplicate(files []*os.File) (copies []*os.File, err error) {
	for _, f := range files {
		c, copyErr := handover.Copy(f)
		if err = errors.Join(err, copyErr); c != nil {
			copies = append(copies, c)
		}
	}
	if err != nil {
		handover.CloseAll(copies)
		return nil, err
	}
	return copies, nil
}
