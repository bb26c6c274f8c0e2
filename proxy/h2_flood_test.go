package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tokenring/proxy/limit"
)

// A flood is what a client sends again and again that costs it less than us.
type flood struct {
	name  string
	begin func(w *h2wire) // what comes once, before; nil for nothing
	once  func(w *h2wire) // one turn
}

// open opens a stream for a request whose body has yet to come.
func open(w *h2wire, path string) uint32 {
	id := w.next()
	w.headers(id, false, usual("POST", path, "ide.example")...)
	return id
}

// endedFloods are those that end the connection. Of each, a client gets through
// a few hundred frames, a few thousand of those that downloads need.
var endedFloods = []flood{
	{"requests that are reset", nil, func(w *h2wire) { w.check(w.WriteRSTStream(w.get("/hold"), h2.ErrCodeCancel)) }},
	{"requests with a window of nothing more", nil, func(w *h2wire) { w.check(w.WriteWindowUpdate(open(w, "/hold"), 0)) }},
	{"requests with a window too large", nil, func(w *h2wire) { w.check(w.WriteWindowUpdate(open(w, "/hold"), 1<<31-1)) }},
	{"requests with data behind their end", nil, func(w *h2wire) { w.check(w.WriteData(w.get("/hold"), false, []byte("x"))) }},
	{"requests with another head behind their end", nil, func(w *h2wire) {
		id := w.get("/hold")
		w.headers(id, true, usual("GET", "/hold", "ide.example")...)
	}},
	{"requests that depend on themselves", nil, func(w *h2wire) {
		id := open(w, "/hold")
		w.check(w.WritePriority(id, h2.PriorityParam{StreamDep: id}))
	}},
	{"requests with more data than their length", nil, func(w *h2wire) {
		id := w.next()
		w.headers(id, false, append(usual("POST", "/hold", "ide.example"), hpack.HeaderField{Name: "content-length", Value: "20000"})...)
		w.check(w.WriteData(id, false, []byte(strings.Repeat("x", 10001))))
		w.check(w.WriteData(id, true, []byte(strings.Repeat("x", 10001))))
	}},
	{"a head without end", func(w *h2wire) {
		w.check(w.WriteHeaders(h2.HeadersFrameParam{StreamID: w.next(), BlockFragment: []byte{0x82}}))
	}, func(w *h2wire) { w.check(w.WriteContinuation(w.last, false, []byte("\x00\x01a\x01b"))) }},
	{"a head without end in large frames", func(w *h2wire) {
		w.check(w.WriteHeaders(h2.HeadersFrameParam{StreamID: w.next(), BlockFragment: []byte{0x82}}))
	}, func(w *h2wire) {
		w.check(w.WriteContinuation(w.last, false, []byte("\x00\x01a\x7f\x81\x7c"+strings.Repeat("b", 16000))))
	}},
	{"a head without end in empty frames", func(w *h2wire) {
		w.check(w.WriteHeaders(h2.HeadersFrameParam{StreamID: w.next(), BlockFragment: []byte{0x82}}))
	}, func(w *h2wire) { w.check(w.WriteContinuation(w.last, false, nil)) }},
	{"settings", nil, func(w *h2wire) { w.check(w.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 1000})) }},
	{"settings in one frame", nil, func(w *h2wire) {
		w.check(w.WriteSettings(slices.Repeat([]h2.Setting{{ID: h2.SettingInitialWindowSize, Val: 1000}}, 1000)...))
	}},
	{"acknowledgements of settings", nil, func(w *h2wire) { w.check(w.WriteSettingsAck()) }},
	{"pings", nil, func(w *h2wire) { w.check(w.WritePing(false, [8]byte{})) }},
	{"data without data", func(w *h2wire) { open(w, "/hold") }, func(w *h2wire) { w.check(w.WriteData(w.last, false, nil)) }},
	{"data of padding", func(w *h2wire) { open(w, "/hold") }, func(w *h2wire) { w.check(w.WriteDataPadded(w.last, false, nil, make([]byte, 9))) }},
	{"priorities", nil, func(w *h2wire) { w.check(w.WritePriority(w.last+101, h2.PriorityParam{Weight: 1})) }},
	{"windows by ones", nil, func(w *h2wire) { w.check(w.WriteWindowUpdate(0, 1)) }},
	{"windows of a stream by ones", func(w *h2wire) { open(w, "/hold") }, func(w *h2wire) { w.check(w.WriteWindowUpdate(w.last, 1)) }},
	{"unknown frames", nil, func(w *h2wire) { w.check(w.WriteRawFrame(0xbe, 0, 0, nil)) }},
}

// TestHTTP2FloodsEndTheConnection has one flood after the other. Their ends, for which
// net/http may take a second, are awaited together.
func TestHTTP2FloodsEndTheConnection(t *testing.T) {
	var flooding sync.Mutex
	before := live()
	for _, f := range endedFloods {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			flooding.Lock()
			unlock := sync.OnceFunc(flooding.Unlock)
			defer unlock()
			g := newFlooded(t, before)
			const turns = 20000
			w := g.dialH2()
			if f.begin != nil {
				f.begin(w)
			}
			ended := drain(w)
			sent := 0
			for ; sent < turns && !ended.Load(); sent++ {
				f.once(w)
				if w.out.Len() > 1<<10 {
					w.send(atOnce)
				}
			}
			w.send(atOnce)
			unlock()
			eventually(t, fmt.Sprintf("the connection's end after %d turns", sent), ended.Load)
			g.finish()
		})
	}
}

// drain reads all that comes, so that we never wait for the client, until the
// connection has ended.
func drain(w *h2wire) *atomic.Bool {
	ended := new(atomic.Bool)
	go func() {
		_, _ = io.Copy(io.Discard, w.nc)
		ended.Store(true)
	}()
	return ended
}

// A flooded lab has a neighbour of the flood, whose requests must be answered
// meanwhile, and watches how much memory lives.
type flooded struct {
	*lab
	host    *host
	before  uint64
	most    atomic.Uint64
	done    chan bool
	quit    func() // ends the neighbour
	watched sync.WaitGroup
}

// newFlooded returns a lab for a flood. Before it, the heap had so many bytes.
func newFlooded(t *testing.T, before uint64) *flooded {
	letGo := make(chan bool)
	h := newHost(t, "a").on("/hold", func(*wire, *http.Request) bool { <-letGo; return false }).on("/big", download(8<<20))
	g := &flooded{host: h, before: before, done: make(chan bool)}
	g.lab = start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Timeouts = Timeouts{Body: 500 * time.Millisecond}
	}, h)
	t.Cleanup(func() { close(letGo) })
	g.watched.Go(g.neighbour)
	g.quit = sync.OnceFunc(func() { close(g.done); g.watched.Wait() })
	t.Cleanup(g.quit)
	return g
}

// live returns the bytes of the heap that a collection finds in use. What is
// allocated once it has ended doesn't count: on a busy machine that is a lot of
// garbage by the time anybody looks. What is allocated while it marks does, and a
// flood allocates much meanwhile, so the least of some collections in a row is taken:
// what is kept is in all of them.
func live() (least uint64) {
	for i := range 3 {
		runtime.GC()
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample)
		if n := sample[0].Value.Uint64(); i == 0 || n < least {
			least = n
		}
	}
	return least
}

func (g *flooded) neighbour() {
	w := g.dialH2()
	defer w.nc.Close()
	for i := 0; ; i++ {
		began := time.Now()
		w.wantGet(fmt.Sprintf("/canary/%d", i))
		if took := time.Since(began); took > 5*time.Second {
			g.t.Errorf("a neighbour waited for %v", took)
		}
		g.most.Store(max(g.most.Load(), live()))
		select {
		case <-g.done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// finish checks what the flood did to the neighbour and the heap, of which the
// host and the clients, being of the same process, have their share.
func (g *flooded) finish() {
	g.t.Helper()
	g.quit()
	const most = 16 << 20
	if grown := int64(g.most.Load()) - int64(g.before); grown > most {
		g.t.Errorf("the heap grew by %d MB, want at most %d", grown>>20, most>>20)
	}
}

var manyBytes = bytes.Repeat([]byte("x"), 64<<10)

// download is a script that answers with n bytes.
func download(n int) script {
	return func(w *wire, _ *http.Request) bool {
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n))
		for left := n; left > 0; left -= len(manyBytes) {
			if _, err := w.Conn.Write(manyBytes[:min(left, len(manyBytes))]); err != nil {
				return false
			}
		}
		return true
	}
}

func TestHTTP2HeaderBombsAreRefused(t *testing.T) {
	g := newFlooded(t, live())
	w := g.dialH2()
	bomb := hpack.HeaderField{Name: "x-bomb", Value: strings.Repeat("b", 3900)}
	id := w.next()
	w.headers(id, true, append(usual("GET", "/first", "ide.example"), bomb)...)
	w.send(atOnce)
	if r := w.reply(id); r.status() != "200" {
		t.Fatalf("got %s", r)
	}
	again := []byte(strings.Repeat("\xbe", 16<<10)) // the latest entry of the table, for 64 MB of fields
	ended := drain(w)
	for range 50 {
		w.check(w.WriteHeaders(h2.HeadersFrameParam{StreamID: w.next(), BlockFragment: again, EndStream: true, EndHeaders: true}))
		w.send(atOnce)
	}
	g.finish()
	_ = w.nc.NetConn().Close()
	eventually(t, "the end", ended.Load)
	if n := strings.Count(g.host.received(), bomb.Value); n != 1 {
		t.Errorf("the field reached the host %d times, want 1", n)
	}
}

func TestHTTP2ClientThatTakesNothingUsesLittleMemory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		window uint32
		reads  bool
	}{
		{"no window", 0, true},
		{"a small window", 1000, true},
		{"a large window, and it doesn't read", 1<<31 - 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newFlooded(t, live())
			w := g.dialH2(h2.Setting{ID: h2.SettingInitialWindowSize, Val: tt.window})
			w.check(w.WriteWindowUpdate(0, 1<<31-1-65535))
			for range 1000 { // of which we take what we have said we would
				w.get("/big")
			}
			if tt.reads {
				drain(w)
			}
			w.send(atOnce)
			gauges := g.hosts[0].Gauges
			eventually(t, "requests in flight", func() bool { return gauges.InFlight.Load() > 50 })
			if n := gauges.InFlight.Load(); n > limit.MaxPerConnection+1 {
				t.Errorf("%d requests are in flight", n)
			}
			eventuallyIn(t, 20*time.Second, "their end", func() bool { return gauges.InFlight.Load() <= 1 })
			g.finish()
			_ = w.nc.NetConn().Close()
		})
	}
}

func TestHTTP2ClientMayCancelTheRequestsOfAPage(t *testing.T) {
	h := newHost(t, "a")
	l := start(t, speaksH2(t), h)
	w := l.dialH2()
	for page := range 3 {
		letGo := make(chan bool)
		path := fmt.Sprintf("/page/%d", page)
		h.on(path, func(w *wire, _ *http.Request) bool {
			<-letGo
			w.send("HTTP/1.1 204 No Content\r\n\r\n")
			return true
		})
		var kept []uint32
		for i := range 100 {
			id := w.get(path)
			w.check(w.WriteRawFrame(typePriorityUpdate, 0, 0, fmt.Appendf([]byte{0, 0, byte(id >> 8), byte(id)}, "u=%d", i%8)))
			if i%5 < 3 {
				w.check(w.WriteRSTStream(id, h2.ErrCodeCancel))
			} else {
				kept = append(kept, id)
			}
		}
		w.send(atOnce)
		close(letGo)
		if got := w.statuses(kept); got["204"] != 40 {
			t.Fatalf("the rest of page %d got %v", page, got)
		}
	}
}

const typePriorityUpdate = 0x10 // RFC 9218 §7.1

// statuses counts the answers that the streams get, by status, or by what ended
// the stream or the connection.
func (w *h2wire) statuses(ids []uint32) map[string]int {
	got := map[string]int{}
	awaited := map[uint32]bool{}
	for _, id := range ids {
		awaited[id] = true
	}
	for len(awaited) > 0 {
		f, ok := w.read()
		if !ok {
			got[w.ended]++
			return got
		}
		id := f.Header().StreamID
		switch f := f.(type) {
		case *h2.MetaHeadersFrame:
			if awaited[id] {
				got[f.PseudoValue("status")]++
			}
		case *h2.RSTStreamFrame:
			if awaited[id] {
				got[f.ErrCode.String()]++
			}
		default:
			continue
		}
		delete(awaited, id)
	}
	return got
}

func TestHTTP2DownloadWithSmallWindowIsNoFlood(t *testing.T) {
	const size = 50 << 20
	l := start(t, speaksH2(t), newHost(t, "a").on("/big", download(size)))
	w := l.dialH2(h2.Setting{ID: h2.SettingInitialWindowSize, Val: 64 << 10})
	id := w.get("/big")
	w.send(atOnce)
	got := 0
	for got < size {
		f, ok := w.read() // gives back the window of each frame, of 16 KB at most
		if !ok {
			t.Fatalf("%s after %d bytes", w.ended, got)
		}
		if d, ok := f.(*h2.DataFrame); ok && d.StreamID == id {
			got += len(d.Data())
		}
	}
	w.wantGet("/next")
}
