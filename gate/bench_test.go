package gate

import (
	"fmt"
	"io"
	"testing"
	"time"
)

// BenchmarkPass is what the gate passes on of one connection, by loopback.
func BenchmarkPass(b *testing.B) {
	t := newBench(b, nil)
	clock := t.now
	t.now = func() time.Duration { sinceBoot(); return clock() } // with what the real one costs
	t.open()
	go func() {
		for {
			conn, err := t.service.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); conn.Close() }()
		}
	}()
	conn := t.dial()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\n\r\n")
	piece := make([]byte, 16<<10)
	b.SetBytes(int64(len(piece)))
	for b.Loop() {
		if _, err := conn.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
}
