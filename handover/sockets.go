package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// A Socket names a listening socket of the parent. It is the same socket for each
// generation that asks for the same name, whatever it uses the socket for.
type Socket struct {
	Network string `json:"network"` // StreamSocket or GossipSockets
	Address string `json:"address"`
	N       int    `json:"n"` // tells sockets of one generation on the same address apart, such as ":0"
}

// The networks of a Socket.
const (
	StreamSocket  = "tcp"
	GossipSockets = "gossip" // one for packets and one for streams, on the same port
)

// KindListen is the kind of the call by which a generation asks its parent for a Socket. The
// answer has a copy of the socket for streams, and then one of the socket for packets.
const KindListen = "listen"

// An Asker asks the parent for the sockets of one generation. It is not safe for concurrent
// use.
type Asker struct {
	parent *Conn
	ctx    context.Context
	asked  map[Socket]int // how often, by network and address
}

// NewAsker returns an Asker that asks over parent, until ctx ends.
func NewAsker(ctx context.Context, parent *Conn) *Asker {
	return &Asker{parent: parent, ctx: ctx, asked: map[Socket]int{}}
}

// Listen returns a copy of the parent's socket for streams on an address. The parent opens
// it if it hasn't yet.
func (a *Asker) Listen(address string) (net.Listener, error) {
	files, err := a.ask(StreamSocket, address, 1)
	if err != nil {
		return nil, err
	}
	defer CloseAll(files)
	return net.FileListener(files[0])
}

// ListenBoth returns copies of the parent's sockets for a gossip.
func (a *Asker) ListenBoth(address string) (net.Listener, net.PacketConn, error) {
	files, err := a.ask(GossipSockets, address, 2)
	if err != nil {
		return nil, nil, err
	}
	defer CloseAll(files)
	streams, err := net.FileListener(files[0])
	if err != nil {
		return nil, nil, err
	}
	packets, err := net.FilePacketConn(files[1])
	if err != nil {
		return nil, nil, errors.Join(err, streams.Close())
	}
	return streams, packets, nil
}

func (a *Asker) ask(network, address string, want int) ([]*os.File, error) {
	s := Socket{Network: network, Address: address}
	n := a.asked[s]
	a.asked[s]++
	s.N = n
	files, err := a.parent.Call(a.ctx, KindListen, s, nil)
	if err == nil && len(files) != want {
		CloseAll(files)
		err = fmt.Errorf("the parent sent %d sockets for %s, want %d", len(files), address, want)
	}
	return files, err
}
