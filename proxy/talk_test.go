package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"tokenring/proxy/clienttls"
	"tokenring/proxy/deadline"

	"tokenring/proxy/tunnel"
)

var talkSeed = flag.Uint64("talk.seed", 0, "have the talks of that seed once more; 0 for new ones")

// TestRandomBytesArriveUnchangedOnManyTunnels has many tunnels carry random bytes both ways
// at once, in random cuts with random pauses, to readers of whom some are slow,
// and end in all the ways there are.
func TestRandomBytesArriveUnchangedOnManyTunnels(t *testing.T) {
	t.Parallel()
	seed := *talkSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("again with -talk.seed %d", seed)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			const many = 40
			h := newHost(t, "a")
			l := start(t, func(l *lab) {
				if secure {
					withTLS(t, nil)(l)
				}
			}, h)
			var running sync.WaitGroup
			for i := range uint64(many) {
				k := newTalk(seed+i, talkEnd(i)%talkEnds)
				w := l.dialer(secure)()
				running.Go(func() { k.run(l, h, w) })
			}
			running.Wait()
			l.dialer(secure)().send(get("/")).want(200)
		})
	}
}

// dialer returns what connects to the lab's listener.
func (l *lab) dialer(secure bool) func() *wire {
	if secure {
		return l.dialTLS
	}
	return l.dial
}

// A talk is what both ends of a tunnel say at once, and how it ends. All of it
// follows from its seed.
type talk struct {
	seed     uint64
	up, down []byte // from the client, and to it
	end      talkEnd
}

type talkEnd uint8

const (
	endsInTurn   talkEnd = iota // each side closes its direction when it has said all
	clientCloses                // both directions, when all is said and heard; the other follows
	hostCloses
	clientResets // amid whatever the other is saying
	hostResets
	talkEnds
)

func newTalk(seed uint64, end talkEnd) *talk {
	rnd := rand.New(rand.NewPCG(seed, 0))
	return &talk{seed: seed, up: randomBytes(rnd), down: randomBytes(rnd), end: end}
}

// randomBytes returns a few bytes, some kilobytes, or up to a megabyte.
func randomBytes(rnd *rand.Rand) []byte {
	b := make([]byte, rnd.IntN(1<<(4+8*rnd.IntN(3))))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// run has the talk, and compares what was heard with what was said.
func (k *talk) run(l *lab, h *host, w *wire) {
	path := fmt.Sprintf("/talk-%d", k.seed)
	var atHost heard
	over := make(chan bool)
	h.on(path, accept(func(w *wire) {
		defer close(over)
		atHost = k.part(1, k.down, len(k.up), hostCloses, hostResets).play(w)
	}))
	w.open(path, fmt.Sprintf("%s-%d", mark, k.seed))
	atClient := k.part(2, k.up, len(k.down), clientCloses, clientResets).play(w)
	<-over
	reset := k.end == clientResets || k.end == hostResets
	for _, err := range []error{atHost.differs(k.up, reset), atClient.differs(k.down, reset)} {
		if err != nil {
			l.t.Errorf("talk %d, end %d: %v", k.seed, k.end, err)
		}
	}
	line := l.logged(path)
	if in, out := line["in"].(float64), line["out"].(float64); !reset && (int(in) != len(k.up) || int(out) != len(k.down)) {
		l.t.Errorf("talk %d, end %d: logged are %v and %v bytes, want %d and %d", k.seed, k.end, in, out, len(k.up), len(k.down))
	}
	client, host := string(tunnel.ByClient), string(tunnel.ByHost)
	if end := line["end"]; end != client && end != host {
		l.t.Errorf("talk %d, end %d: logged as ended by %v", k.seed, k.end, end)
	}
}

// A part is what one side has to do in a talk.
type part struct {
	seed, stream          uint64
	words                 []byte
	awaits                int // bytes
	turns, closes, resets bool
}

// part returns that of the side with such words, which ends the talk if it ends
// in one of those two ways.
func (k *talk) part(stream uint64, words []byte, awaits int, closes, resets talkEnd) part {
	return part{k.seed, stream, words, awaits, k.end == endsInTurn, k.end == closes, k.end == resets}
}

// play speaks and hears at once, and ends the connection.
func (p part) play(w *wire) heard {
	_ = w.SetDeadline(time.Now().Add(30 * time.Second))
	upto := 1 << 30
	switch {
	case p.resets:
		upto = p.awaits / 2
	case p.closes:
		upto = p.awaits
	}
	said := make(chan bool)
	go func() {
		defer close(said)
		p.speak(w.Conn)
	}()
	got := p.hear(w.in, upto)
	if p.resets {
		_ = tcpBelow(w.Conn).SetLinger(0)
		tcpBelow(w.Conn).Close()
	}
	<-said
	w.Close()
	return got
}

// speak says all words, unless the connection ends before.
func (p part) speak(nc net.Conn) {
	rnd := rand.New(rand.NewPCG(p.seed, p.stream))
	pauses := 10
	for rest := p.words; len(rest) > 0; {
		n := min(1+rnd.IntN(1<<(1+rnd.IntN(16))), len(rest))
		if _, err := nc.Write(rest[:n]); err != nil {
			return
		}
		rest = rest[n:]
		if pauses > 0 && rnd.IntN(8) == 0 {
			pauses--
			time.Sleep(time.Duration(rnd.IntN(1<<rnd.IntN(9))) * time.Millisecond)
		}
	}
	if p.turns {
		_ = clienttls.CloseWrite(nc)
	}
}

// A heard is what one side has heard, and what ended that: nil if it was a clean
// end, or enough.
type heard struct {
	words []byte
	err   error
}

// hear reads until the end, or that many bytes. Every other reader is slow.
func (p part) hear(from io.Reader, upto int) (h heard) {
	rnd := rand.New(rand.NewPCG(p.seed, p.stream+2))
	slow := rnd.IntN(2) == 0
	buf := make([]byte, 1<<(4+rnd.IntN(13)))
	for pauses := 20; len(h.words) < upto; {
		n, err := from.Read(buf[:min(len(buf), upto-len(h.words))])
		h.words = append(h.words, buf[:n]...)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				h.err = err
			}
			return h
		}
		if slow && pauses > 0 {
			pauses--
			time.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
		}
	}
	return h
}

// differs says how what was heard isn't what was said. After a reset it may be a
// part, but it has to have an end.
func (h heard) differs(said []byte, reset bool) error {
	switch {
	case deadline.Exceeded(h.err):
		return fmt.Errorf("no end after %d of %d bytes", len(h.words), len(said))
	case reset && !bytes.HasPrefix(said, h.words), !reset && !bytes.Equal(said, h.words):
		return fmt.Errorf("heard %d bytes, %v, which aren't the %d that were said", len(h.words), h.err, len(said))
	case !reset && h.err != nil:
		return fmt.Errorf("heard all, and then %w instead of a clean end", h.err)
	}
	return nil
}

// tcpBelow returns the TCP connection below TLS, or nc itself.
func tcpBelow(nc net.Conn) *net.TCPConn {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	return nc.(*net.TCPConn)
}
