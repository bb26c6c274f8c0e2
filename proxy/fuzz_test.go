package proxy

import (
	"io"
	"net"
	"testing"
	"time"

	"tokenring/proxy/deadline"
)

// FuzzHostNeverPoisons answers one request with whatever bytes, then closes, and
// wants the next request to get its own answer.
func FuzzHostNeverPoisons(f *testing.F) {
	for _, raw := range cuts {
		f.Add([]byte(raw))
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte(agree(wsKey)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l := start(t, nil, newHost(t, "a").on("/bad", says(string(raw), false)))
		w := l.dial().send(get("/bad?token=" + mark))
		_ = w.Conn.(*net.TCPConn).CloseWrite()
		_ = w.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, w.in); deadline.Exceeded(err) {
			t.Error("the client was left waiting")
		}
		w.Close()
		l.canary()
	})
}
