package stream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tokenring/session"
)

// A member is somebody with a peer's key who sends what he likes.
type member struct {
	t    *testing.T
	conn *tls.Conn
	*frameWriter
	reader *frameReader
}

// memberOf returns a stream to n in the name of a peer.
func memberOf(t *testing.T, n, peer *node) *member {
	t.Helper()
	conn, err := tls.Dial("tcp", n.self.Address, dialConfig(peer.hub.options.Identity, n.self.Fingerprint))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.NetConn().Close() })
	const patience = 20 * time.Second
	m := &member{t, conn, &frameWriter{conn: conn, patience: patience}, newFrameReader(conn, patience)}
	m.send(kindHello, peer.hub.hello().append(nil))
	if kind, _, err := m.reader.next(); err != nil || kind != kindHello {
		t.Fatalf("got a frame of the kind %d, %v", kind, err)
	}
	return m
}

func (m *member) send(kind byte, payload []byte) {
	m.t.Helper()
	m.add(kind, payload)
	if err := m.flush(); err != nil {
		m.t.Fatal(err)
	}
}

// ended waits until the other end has closed the stream.
func (m *member) ended() {
	m.t.Helper()
	for {
		if _, _, err := m.reader.next(); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				m.t.Error("the stream goes on")
			}
			return
		}
	}
}

func TestAStreamEndsWithWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	b.self.Address = "" // a doesn't dial it
	a.start(b)
	for _, row := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"a huge length", binary.AppendUvarint([]byte{kindReports}, 1<<60), "at most 65536"},
		{"a length without an end", append([]byte{kindReports}, strings.Repeat("\xff", 20)...), "overflow"},
		{"hosts that can't be read", bytesOf(frame{kindHosts, []byte{1, 5}}), "hosts: it ends within a field"},
		{"reports that can't be read", bytesOf(frame{kindReports, []byte{1}}), "reports: it ends within a field"},
		{"an unknown host", bytesOf(reportFrames(newReportEncoder(), on(1, "ide-1", 1))[1]), "which wasn't told"},
		{"a ping of another frame", bytesOf(frame{kindPing, []byte{77}}), "a ping has the number 77, and is frame 2"},
		{"a question that can't be read", bytesOf(frame{kindQuestion, []byte{1}}), "a question: it ends within a field"},
	} {
		m := memberOf(t, a, b)
		if _, err := m.conn.Write(row.raw); err != nil {
			t.Fatal(err)
		}
		m.ended()
		eventually(t, row.name, func() bool { return strings.Contains(a.inErr(b), row.want) })
	}
}

// inErr returns why a peer isn't heard.
func (n *node) inErr(of *node) string {
	n.hub.mu.Lock()
	defer n.hub.mu.Unlock()
	return n.hub.peers[of.self.Name].inErr.Error()
}

func TestUnknownFramesAreSkipped(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	b.self.Address = ""
	a.start(b)
	m := memberOf(t, a, b)
	m.send(200, make([]byte, maxPayload))
	m.send(kindHello, nil) // a second one means nothing
	m.send(kindAck, []byte{1})
	for _, f := range reportFrames(newReportEncoder(), on(1, "ide-1", 2)) {
		m.send(f.kind, f.payload)
	}
	m.send(kindSnapshotEnd, []byte("more"))
	eventually(t, "the reports are taken", func() bool { return a.status(b).Heard && len(a.sink.of(b)) == 1 })
	want := m.number
	for last := uint64(0); last < want; {
		kind, payload, err := m.reader.next()
		if err != nil || kind != kindAck {
			t.Fatalf("got a frame of the kind %d, %v", kind, err)
		}
		if last, err = readNumber(payload); err != nil || last > want {
			t.Fatalf("frame %d is acknowledged, %v; %d were sent", last, err, want)
		}
	}
}

func TestStrangersAreRefusedBeforeAnythingIsRead(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	a.start(b)
	b.start(a)
	connected(t, a, b)

	garbage, err := net.Dial("tcp", a.self.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer garbage.Close()
	if _, err := garbage.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, garbage); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("after garbage: %v", err)
	}
	eventually(t, "garbage is counted", func() bool { return a.hub.Refused()[BadHandshake] == 1 })

	for name, config := range map[string]*tls.Config{
		"no certificate": {InsecureSkipVerify: true},
		"another key":    dialConfig(NewIdentity(), a.self.Fingerprint),
		"TLS 1.2":        {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{b.hub.options.Identity.certificate}},
	} {
		conn, err := tls.Dial("tcp", a.self.Address, config)
		if err == nil {
			_, err = conn.Read(make([]byte, 1)) // in TLS 1.3 the client hears of it afterwards
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "remote error") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	eventually(t, "they are counted", func() bool { r := a.hub.Refused(); return r[BadHandshake] == 3 && r[UnknownKey] == 1 })
	if s := a.status(b); !s.Up || !s.Heard {
		t.Errorf("the peer: %+v", s)
	}
	if n := strings.Count(a.log.String(), "a stream is refused"); n != 2 {
		t.Errorf("%d lines in the log, want one for each reason: %s", n, a.log)
	}
}

// TestHandshakesThatDoNotEndKeepNobodyOut: somebody opens connections, as many as he can, and
// says nothing.
func TestHandshakesThatDoNotEndKeepNobodyOut(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	a.with(func(x *times) { x.handshake = 300 * time.Millisecond }).start(b)
	var silent []net.Conn
	for range 3 * maxSourceHandshakes {
		conn, err := net.Dial("tcp", a.self.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	eventually(t, "some are refused", func() bool { return a.hub.Refused()[Busy] == 2*maxSourceHandshakes })
	for _, conn := range silent {
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("a connection stays open")
		}
	}
	b.start(a)
	connected(t, a, b)
	if n := a.hub.Refused()[BadHandshake]; n != maxSourceHandshakes {
		t.Errorf("%d handshakes have failed", n)
	}
}

// An endless source always has more reports.
type endless struct{ taken atomic.Int64 }

func (e *endless) Next(context.Context) ([]session.Report, error) {
	n := int(e.taken.Add(500)) - 500
	reports := make([]session.Report, 500)
	for i := range reports {
		reports[i] = on(n+i, hostName(i%10), 1)
	}
	return reports, nil
}
func (e *endless) Snapshot() bool { return false }
func (e *endless) Close()         {}

// TestAPeerThatTakesNothingCostsNothing: it accepts a stream and never reads. What it isn't
// told stays in the source, other peers don't wait, and its stream ends.
func TestAPeerThatTakesNothingCostsNothing(t *testing.T) {
	t.Parallel()
	a, b, stopped := newNode(t, "lb-a"), newNode(t, "lb-b"), newNode(t, "lb-stopped")
	var to atomic.Pointer[endless]
	var other atomic.Bool
	a.hub.options.Sources = func() Source {
		if other.Load() {
			return a.src.open()
		}
		e := new(endless)
		to.Store(e)
		return e
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		raw, err := stopped.ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { raw.Close() })
		conn := tls.Server(raw, acceptConfig(stopped.hub.options.Identity, func(Fingerprint) bool { return true }))
		w := &frameWriter{conn: conn, patience: 20 * time.Second}
		w.add(kindHello, stopped.hub.hello().append(nil))
		if err := w.flush(); err != nil {
			t.Error(err)
		}
	}()
	a.with(func(x *times) { x.patience = 500 * time.Millisecond }).start(stopped)
	<-accepted
	eventually(t, "it is told something", func() bool { s := to.Load(); return s != nil && s.taken.Load() > 0 })
	other.Store(true)
	a.know(stopped, b)
	b.start(a)
	a.src.report(on(1, "ide-1", 1))
	same(t, a, b)
	failing(t, a, stopped, errSilent.Error())
	const frameful = frameAim / 28 // reports
	if n := to.Load().taken.Load(); n > (maxFrames+4)*frameful {
		t.Errorf("%d reports were taken from the source", n)
	}
	connected(t, a, b)
}

// TestAPeerThatIsSilentIsGone: its machine is frozen, so that the connection doesn't end.
func TestAPeerThatIsSilentIsGone(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	b.self.Address = ""
	a.with(func(x *times) { x.patience = 300 * time.Millisecond }).start(b)
	m := memberOf(t, a, b)
	m.send(kindSnapshotEnd, nil)
	eventually(t, "it is heard", func() bool { return strings.Contains(a.sink.story(), "complete lb-b") })
	m.ended()
	eventually(t, "its stream has ended", func() bool { return strings.HasSuffix(a.sink.story(), "end lb-b") && a.inErr(b) == errSilent.Error() })
}

// TestMoreStreamsOfOnePeerAreOne: a peer with a mistake, or in wrong hands, opens many.
func TestMoreStreamsOfOnePeerAreOne(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	b.self.Address = ""
	a.start(b)
	var all []*member
	for range 10 {
		all = append(all, memberOf(t, a, b))
	}
	for _, m := range all[:9] {
		m.ended()
	}
	last := all[9]
	last.send(kindSnapshotEnd, nil)
	eventually(t, "the last one counts", func() bool { return a.status(b).Heard })
	if got, want := a.sink.story(), strings.Repeat("begin lb-b, end lb-b, ", 9)+"begin lb-b, complete lb-b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
