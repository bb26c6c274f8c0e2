package proxy

import (
	"io"
	"testing"
)

// BenchmarkGet is one small GET over kept connections, client and host included.
func BenchmarkGet(b *testing.B) {
	h := newHost(b, "a").on("/", says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true))
	l := start(b, nil, h)
	w := l.dial()
	request := []byte(get("/?token=" + mark))
	answer := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = w.Write(request)
		if n, err := w.Conn.Read(answer); err != nil || n == 0 {
			b.Fatal(err)
		}
	}
}

// BenchmarkTunnelEcho is one small frame there and back.
func BenchmarkTunnelEcho(b *testing.B) {
	h := newHost(b, "a").on("/ws", accept(echo))
	l := start(b, nil, h)
	w := l.dial().open("/ws", mark)
	frame := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = w.Write(frame)
		if _, err := io.ReadFull(w.in, frame); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBulk is a body of 1 MiB, client and host included.
func BenchmarkBulk(b *testing.B) {
	body := make([]byte, 1<<20)
	h := newHost(b, "a").on("/", says("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"+string(body), true))
	run := func(b *testing.B, l *lab, w *wire) {
		request := []byte(get("/?token=" + mark))
		answer := make([]byte, 256<<10)
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = w.Write(request)
			for n := 0; n < len(body); {
				m, err := w.Conn.Read(answer)
				if err != nil {
					b.Fatal(err)
				}
				n += m
			}
		}
	}
	b.Run("plain", func(b *testing.B) { l := start(b, nil, h); run(b, l, l.dial()) })
	b.Run("tls", func(b *testing.B) { l := start(b, withTLS(b, nil), h); run(b, l, l.dialTLS()) })
}
