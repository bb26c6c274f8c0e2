package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// A terminal is the client's end of an open WebSocket. One goroutine at a time
// uses it.
type terminal struct{ c net.Conn }

// message is what a terminal sends: a binary frame of 32 bytes, masked with
// zeros (RFC 6455 §5.2). The hosts echo it as it is, since no proxy looks into
// it.
var message = append([]byte{0x82, 0x80 | 32, 0, 0, 0, 0}, bytes.Repeat([]byte("key "), 8)...)

// openTerminal opens a WebSocket with a token of its own.
func (t target) openTerminal(ctx context.Context) (*terminal, error) {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := t.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := upgrade(c, patience); err != nil {
		c.Close()
		return nil, err
	}
	return &terminal{c}, nil
}

func upgrade(c net.Conn, patience time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	head, err := ask(c, terminalPath, "Upgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://localhost\r\n")
	if err != nil {
		return err
	}
	return errors.Join(status(head, "101"), c.SetDeadline(time.Time{}))
}

// echo sends a message and waits until it is back, though not for ever.
func (t *terminal) echo() error {
	const patience = 30 * time.Second
	if err := t.c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := t.c.Write(message); err != nil {
		return err
	}
	var back [64]byte
	got := back[:len(message)]
	if _, err := io.ReadFull(t.c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, message) {
		return errors.New("the echo isn't what was sent")
	}
	return nil
}
