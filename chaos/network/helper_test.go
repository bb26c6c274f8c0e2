package network

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestHelper is no test: it is the program that talk runs in a node.
func TestHelper(*testing.T) {
	if len(os.Args) < 5 || os.Args[len(os.Args)-4] != "--" {
		return
	}
	args := os.Args[len(os.Args)-3:]
	patience, _ := time.ParseDuration(args[2])
	end := time.Now().Add(patience)
	if args[0] == "listen" {
		listen(args[1], end)
	} else {
		dial(args[1], end)
	}
	os.Exit(0)
}

// listen prints what the first client sends.
func listen(address string, end time.Time) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return
	}
	_ = ln.(*net.TCPListener).SetDeadline(end)
	conn, err := ln.Accept()
	if err != nil {
		return
	}
	_ = conn.SetDeadline(end)
	text, _ := io.ReadAll(conn)
	fmt.Println(string(text))
}

// dial sends a word, as soon as somebody listens.
func dial(address string, end time.Time) {
	for time.Now().Before(end) {
		conn, err := net.DialTimeout("tcp", address, time.Until(end))
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		_, _ = io.WriteString(conn, "hello")
		conn.Close()
		return
	}
}
