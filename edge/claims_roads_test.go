package edge

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// claimSendProxy: a request comes behind a header of version 2 with the client's address, a check
// behind one that says LOCAL, and neither has anything beyond the addresses.
func claimSendProxy(t *testing.T) {
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	began := make(chan string, 1000)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go answerBehindHeader(conn, began)
		}
	}()
	r := runLines(t, cfgLines{servers: "  server one " + ln.Addr().String() + " check send-proxy-v2\n", back: "  option httpchk"})
	if !strings.Contains(r.yaml, "send_proxy: v2") {
		t.Fatalf("the import has written\n%s", r.yaml)
	}
	r.get("/page", "").Body.Close()
	local, proxied := false, false
	for range len(began) {
		header := <-began
		local = local || header == signature+"\x20\x00\x00\x00"
		proxied = proxied || strings.HasPrefix(header, signature+"\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01")
	}
	if !local || !proxied {
		t.Errorf("a check came behind LOCAL: %t; a request behind its client's address: %t", local, proxied)
	}
}

// answerBehindHeader reads a header of the PROXY protocol and tells it, and answers the request behind it.
func answerBehindHeader(conn net.Conn, began chan<- string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	header := make([]byte, 16)
	if _, err := io.ReadFull(in, header); err != nil {
		return
	}
	rest := make([]byte, binary.BigEndian.Uint16(header[14:]))
	if _, err := io.ReadFull(in, rest); err != nil {
		return
	}
	began <- string(header) + string(rest)
	if _, err := http.ReadRequest(in); err == nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	}
}

// claimMaxConnections: a request beyond the bound waits until the one before it has ended, and a
// terminal that the host has agreed to doesn't count.
func claimMaxConnections(t *testing.T) {
	came, answer := make(chan string), make(chan bool)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			came <- r.URL.Path
			<-answer
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		t.Cleanup(func() { conn.Close() })
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close() })
	r := runLines(t, cfgLines{servers: "  server one " + ln.Addr().String() + " check maxconn 1\n"}) // a check connects only
	if !strings.Contains(r.yaml, "max_connections: 1") {
		t.Fatalf("the import has written\n%s", r.yaml)
	}
	const head = " HTTP/1.1\r\nHost: ide.example.com\r\n"
	resp := r.raw(0, "GET /terminal?token=a"+head+"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the terminal got %s", resp.Status)
	}
	first := r.send(0, "GET /first?token=b"+head+"\r\n")
	<-came
	second := r.send(0, "GET /second?token=c"+head+"\r\n")
	r.wait("the second one waits", func() bool {
		const one = "# HELP lb_host_queue Requests that wait for the host, because max_connections others are in progress there.\n# TYPE lb_host_queue gauge\nlb_host_queue{host=\"one\"} 1\n"
		return testutil.GatherAndCompare(r.edge.gatherer(), strings.NewReader(one), "lb_host_queue") == nil
	})
	answer <- true
	if path := <-came; path != "/second" {
		t.Errorf("then came %s", path)
	}
	answer <- true
	for _, conn := range []net.Conn{first, second} {
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("got %v, %v", resp, err)
		}
	}
}
