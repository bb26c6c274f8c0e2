//go:build integration

// Package answers holds docs/migrating.md to what it says of hosts' malformed
// answers: what a real HAProxy makes of them, and what lb does.
package answers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tokenring/proxy"
	"tokenring/proxy/upstream"
)

const (
	ok      = "HTTP/1.1 200 OK\r\n"
	length  = "Content-Length: 3\r\n"
	chunked = "Transfer-Encoding: chunked\r\n"
	chunk   = "3\r\nabc\r\n"
	last    = "0\r\n\r\n"
)

// examples are answers for each row of the table. The last row needs a handshake,
// which testdata/http1/responses.txt has.
var examples = map[string][]string{
	"several Content-Lengths, or a list of them, all equal": {
		ok + length + length + "\r\nabc", ok + "Content-Length: 3, 3\r\n\r\nabc",
	},
	"Content-Length beside `Transfer-Encoding: chunked`":      {ok + length + chunked + "\r\n" + chunk + last, ok + chunked + length + "\r\n" + chunk + last},
	"chunked in HTTP/1.0, or with an empty element behind it": {"HTTP/1.0 200 OK\r\n" + chunked + "\r\n" + chunk + last, ok + "Transfer-Encoding: chunked,\r\n\r\n" + chunk + last},
	"a length or chunks with status 204":                      {"HTTP/1.1 204 x\r\n" + length + "\r\n", "HTTP/1.1 204 x\r\n" + chunked + "\r\n"},
	"a chunk's size with blanks or an odd extension behind it, or many zeros before it": {
		ok + chunked + "\r\n3 \r\nabc\r\n" + last, ok + chunked + "\r\n3;@ \"\r\nabc\r\n" + last, ok + chunked + "\r\n00000000000000000003\r\nabc\r\n" + last,
	},
	"a folded field":                                 {ok + "X: y\r\n z\r\n" + length + "\r\nabc"},
	"a blank before a field's colon":                 {ok + "X : y\r\n" + length + "\r\nabc"},
	"control characters in a value or in the reason": {ok + "X: \x00\x1b\r\n" + length + "\r\nabc", "HTTP/1.1 200 O\x00K\r\n" + length + "\r\nabc"},
	"lines that all end in LF alone":                 {strings.ReplaceAll(ok+length+"\r\n", "\r", "") + "abc"},
	"a word that is no token in Connection":          {ok + "Connection: a b\r\n" + length + "\r\nabc"},
	"several blanks or tabs in the status line, an empty line before it": {
		"HTTP/1.1  200 OK\r\n" + length + "\r\nabc", "HTTP/1.1\t200 OK\r\n" + length + "\r\nabc", "\r\n" + ok + length + "\r\nabc",
	},
	"`HTTP/1.2` or `HTTP/2.0` in the status line":      {"HTTP/1.2 200 OK\r\n" + length + "\r\nabc", "HTTP/2.0 200 OK\r\n" + length + "\r\nabc"},
	"status 600 to 999":                                {"HTTP/1.1 600 x\r\n" + length + "\r\nabc", "HTTP/1.1 999 x\r\n" + length + "\r\nabc"},
	"lines that end in CRLF and others that end in LF": {ok + "X: y\n" + length + "\r\nabc", "HTTP/1.1 200 OK\n" + length + "\r\nabc"},
	"a chunk's line that ends in LF alone, or fewer data than a chunk's size says": {
		ok + chunked + "\r\n3\nabc\r\n" + last, ok + chunked + "\r\n4\r\nabc\r\n" + last,
	},
	"an extension of more than 256 bytes in a chunk's line": {ok + chunked + "\r\n3;a=" + strings.Repeat("x", 300) + "\r\nabc\r\n" + last},
	"a status of two or four digits, or below 100": {
		"HTTP/1.1 20 OK\r\n" + length + "\r\nabc", "HTTP/1.1 2000 OK\r\n" + length + "\r\nabc", "HTTP/1.1 099 OK\r\n" + length + "\r\nabc",
	},
	"`HTTP/0.9` in the status line":                 {"HTTP/0.9 200 OK\r\n" + length + "\r\nabc"},
	"a Content-Length of 2^64 or more":              {ok + "Content-Length: 18446744073709551619\r\n\r\nabc"},
	"lengths that differ, or one that is no number": {ok + length + "Content-Length: 4\r\n\r\nabcd", ok + "Content-Length: x\r\n\r\nabc"},
	"an empty Transfer-Encoding":                    {ok + "Transfer-Encoding:\r\n\r\nabc"},
	"a Transfer-Encoding other than chunked":        {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk + last, ok + "Transfer-Encoding: identity\r\n\r\nabc"},
	"an interim answer (1xx) with a body":           {"HTTP/1.1 103 x\r\n" + length + "\r\nabc" + ok + length + "\r\nabc"},
	"more than 100 interim answers":                 {strings.Repeat("HTTP/1.1 103 x\r\n\r\n", 101) + ok + length + "\r\nabc"},
	"more than 4 Connection fields, or 32 fields named there": {
		ok + strings.Repeat("Connection: x\r\n", 5) + length + "\r\nabc", ok + "Connection: " + strings.Repeat("x, ", 33) + "x\r\n" + length + "\r\nabc",
	},
}

const handshake = "a 101 without the handshake's Sec-WebSocket-Accept, or for another protocol"

func TestMigratingSaysWhatBecomesOfMalformedAnswers(t *testing.T) {
	h := startHost(t)
	haproxy := startHAProxy(t, h.address)
	p := upstream.Probe{Limits: proxy.ResponseLimits{}.Heads(), Timeout: 10 * time.Second}
	rows := table(t)
	for row, columns := range rows {
		if row == handshake {
			continue
		}
		if len(examples[row]) == 0 {
			t.Errorf("no example of %q", row)
		}
		for _, raw := range examples[row] {
			h.answer(raw)
			if got, want := passes(t, haproxy), strings.HasPrefix(columns[0], "passes on"); got != want {
				t.Errorf("%q: HAProxy passes it on: %v; the document says %q", raw, got, columns[0])
			}
			r := p.Ask(t.Context(), h.address, "/")
			if refused := r.Refused != ""; refused != (columns[1] == "refused") || r.Err != nil {
				t.Errorf("%q: lb says %+v; the document says %q", raw, r, columns[1])
			}
		}
	}
	for row := range examples {
		if rows[row] == ([2]string{}) {
			t.Errorf("the document has no row %q", row)
		}
	}
}

// table returns the table of docs/migrating.md: HAProxy's and lb's column by row.
func table(t *testing.T) map[string][2]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "| a host's answer has | HAProxy 2.6 | lb |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/migrating.md has no table of answers")
	}
	rows := map[string][2]string{}
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) != 3 {
			break
		}
		rows[cells[0]] = [2]string{cells[1], cells[2]}
	}
	return rows
}

// A host gives the same answer to every request, and closes the connection.
type host struct {
	address string
	mu      sync.Mutex
	raw     string
}

func (h *host) answer(raw string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.raw = raw
}

func startHost(t *testing.T) *host {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{address: ln.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { h.serve(nc) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	return h
}

func (h *host) serve(nc net.Conn) {
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := http.ReadRequest(bufio.NewReader(nc)); err != nil {
		return
	}
	h.mu.Lock()
	raw := h.raw
	h.mu.Unlock()
	_, _ = io.WriteString(nc, raw)
}

// startHAProxy runs the installed HAProxy in front of a host until the test ends,
// and returns its socket.
func startHAProxy(t *testing.T, address string) string {
	t.Helper()
	out, err := exec.Command("haproxy", "-v").Output()
	if err != nil {
		t.Fatalf("haproxy -v: %v: install Debian's haproxy", err)
	}
	if !strings.Contains(string(out), "version 2.6.") {
		t.Skipf("the document is about HAProxy 2.6; installed is %s", out)
	}
	dir, err := os.MkdirTemp("", "answers") // short, as a socket's path has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, file := filepath.Join(dir, "f"), filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf("defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\nfrontend f\n bind unix@%s\n default_backend b\nbackend b\n server s %s\n", socket, address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("haproxy", "-db", "-f", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		nc, err := net.Dial("unix", socket)
		if err == nil {
			nc.Close()
			return socket
		}
		if time.Now().After(deadline) {
			t.Fatalf("haproxy doesn't answer: %v", err)
		}
	}
}

// passes asks HAProxy once, and reports whether the host's answer comes, or its own
// 502.
func passes(t *testing.T, socket string) bool {
	t.Helper()
	nc, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	all, err := io.ReadAll(nc)
	if err != nil || len(all) == 0 {
		t.Fatalf("haproxy answers %q, %v", all, err)
	}
	return !strings.Contains(string(all), " 502 Bad Gateway\r\n")
}
