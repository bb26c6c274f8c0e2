package main

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/rogpeppe/go-internal/testscript"
)

// answers are the bytes that the hosts of the stories send, by path.
var answers = map[string]string{
	"/":        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"/healthz": "HTTP/1.1 204 No Content\r\n\r\n",
	"/both":    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nX: a\r\n b\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	"/lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
	"/none":    "",
}

// hostsWithAnswers gives a story the address of a host that sends the answers, and an
// address where no host is.
func hostsWithAnswers(env *testscript.Env) error {
	env.Setenv("NOBODY", ownLoopback()+":4000")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Setenv("HOST", ln.Addr().String())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		serveAnswers(ln)
	}()
	env.Defer(func() {
		ln.Close()
		<-ended
	})
	return nil
}

// serveAnswers answers one request on each connection, until ln is closed.
func serveAnswers(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		if r, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
			_, _ = io.WriteString(nc, answers[r.URL.Path])
		}
		nc.Close()
	}
}
