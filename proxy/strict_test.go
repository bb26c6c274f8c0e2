package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"tokenring/proxy/clienttls"
	"tokenring/proxy/deadline"
	"tokenring/route"
)

// TestStrict runs the tables of raw messages in testdata/http1, which are what
// it means to be strict, through a proxy in front of a host that reads more
// strictly still. Each case comes in several cuts and has a proxy of its own,
// so that all that ever reached the host is known to be the case's.
func TestStrict(t *testing.T) {
	t.Parallel()
	total := 0
	for file, cases := range strictTables(t) {
		total += len(cases)
		for _, c := range cases {
			t.Run(file+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				newTrial(t, c).run()
			})
		}
	}
	if total < 300 {
		t.Errorf("only %d cases are left", total)
	}
}

// A trial is one case under way.
type trial struct {
	*lab
	t        *testing.T
	c        *strictCase
	rec      *recorder
	canaries int
	want     int // complete requests so far, canaries apart
}

func newTrial(t *testing.T, c *strictCase) *trial {
	r := &trial{t: t, c: c, rec: newRecorder(t, c)}
	r.lab = start(t, func(l *lab) {
		if c.flags["trusted"] {
			l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
	})
	r.hosts = []*route.Host{r.rec.entry()}
	r.use()
	return r
}

func (r *trial) run() {
	if r.c.flags["every-cut"] {
		r.runCuts()
	} else {
		for _, way := range []struct {
			name string
			cuts func([]byte) [][]byte
		}{{"at once", atOnce}, {"byte by byte", byteByByte}, {"in sevens", inSevens}} {
			r.rec.speak(way.cuts)
			if why := r.deliver(way.cuts); why != "" {
				r.t.Errorf("%s: %s", way.name, why)
			}
		}
	}
	r.stop()
	r.rec.finish()
	r.checkRecord()
}

// checkRecord looks at all that has reached the host in the end.
func (r *trial) checkRecord() {
	for _, err := range r.rec.faults {
		r.t.Errorf("the host got a request that is %v", err)
	}
	if n := len(r.rec.begun); n > 0 && !r.c.flags["begun"] && !r.c.flags["every-cut"] {
		r.t.Errorf("requests began at the host: %s", r.rec.begun)
	}
	requests, canaries := r.rec.since(0)
	if r.c.response == nil && len(requests) != r.want {
		r.t.Errorf("%d requests reached the host in the end, want %d", len(requests), r.want)
	}
	if len(canaries) != r.canaries {
		r.t.Errorf("%d canaries reached the host in the end, want %d", len(canaries), r.canaries)
	}
}

// deliver sends the case's bytes, cut up that way, between two canaries. It
// says what went wrong, or "".
func (r *trial) deliver(cuts func([]byte) [][]byte) string {
	if why := r.canary(); why != "" {
		return "the canary before: " + why
	}
	r.waitUntilIdle() // the client has its answer before the host's connection is back
	mark := r.rec.mark()
	w := r.dial()
	defer w.Close()
	writeAll(w.Conn, cuts(r.c.request))
	if r.c.flags["half-close"] {
		_ = clienttls.CloseWrite(w.Conn)
	}
	if why := r.read(w); why != "" {
		return why
	}
	r.rec.answered.Wait()
	requests, _ := r.rec.since(mark)
	if why := compare(requests, r.c.host, "the host"); r.c.response == nil && why != "" {
		return why
	}
	r.want += len(r.c.host)
	if !r.c.flags["close"] {
		if why := r.canaryOn(w); why != "" {
			return "the canary on the same connection: " + why
		}
	}
	r.waitUntilIdle()
	if why := r.canary(); why != "" {
		return "the canary behind: " + why
	}
	return r.checkLink(mark)
}

// read reads what the client must get.
func (r *trial) read(w *wire) string {
	method, _, _ := strings.Cut(string(r.c.request), " ")
	var got []*message
	for _, want := range r.c.client {
		m, err := readAnswer(w, method)
		switch whole := err == nil; {
		case want.first == "cut" && whole:
			return fmt.Sprintf("the client got %q %q, which looks whole", m.line, m.body)
		case want.first == "cut":
			m.line = "HTTP/1.1 cut"
		case !whole:
			return fmt.Sprintf("the client got %q %q %q: %v", m.line, m.fields, m.body, err)
		}
		m.line = strings.TrimPrefix(m.line, "HTTP/1.1 ")[:3] + " "
		got = append(got, m)
	}
	if why := compare(got, r.c.client, "the client"); why != "" {
		return why
	}
	if r.c.flags["close"] {
		return r.readEnd(w)
	}
	return ""
}

// readEnd reads to the end of the connection, which has the echo of a tunnel
// before it and nothing else.
func (r *trial) readEnd(w *wire) string {
	if len(r.c.client) > 0 && r.c.client[0].first == "101" {
		_ = clienttls.CloseWrite(w.Conn)
	}
	rest, err := io.ReadAll(w.in)
	if string(rest) != r.c.echo || deadline.Exceeded(err) {
		return fmt.Sprintf("the client got %q (%v) in the end, want %q and no more", rest, err, r.c.echo)
	}
	return ""
}

func readAnswer(w *wire, method string) (*message, error) {
	m, err := readStrictHead(w.in, strictStatus)
	if err != nil {
		return m, err
	}
	without := method == "HEAD" || strings.HasPrefix(m.line, "HTTP/1.1 1") ||
		strings.HasPrefix(m.line, "HTTP/1.1 204") || strings.HasPrefix(m.line, "HTTP/1.1 304")
	return m, m.readStrictBody(w.in, without, true)
}

func compare(got []*message, want []wanted, who string) string {
	var lines, first []string
	for _, m := range got {
		lines = append(lines, strings.TrimSuffix(strings.TrimSuffix(m.line, " HTTP/1.1"), " "))
	}
	for _, w := range want {
		first = append(first, w.first)
	}
	if g, w := strings.Join(lines, "; "), strings.Join(first, "; "); g != w {
		return fmt.Sprintf("%s got %.200q, want %.200q", who, g, w)
	}
	for i, m := range got {
		if why := m.differs(want[i]); why != "" {
			return who + ": " + why
		}
	}
	return ""
}

// canary sends a request on a connection of its own, which must get its own
// answer: else a connection to the host holds bytes that aren't its own.
func (r *trial) canary() string {
	w := r.dial()
	defer w.Close()
	return r.canaryOn(w)
}

func (r *trial) canaryOn(w *wire) string {
	r.canaries++
	target := fmt.Sprintf("/canary/%d", r.canaries)
	w.send(get(target))
	m, err := readAnswer(w, "GET")
	if err != nil || !strings.HasPrefix(m.line, "HTTP/1.1 200 ") || m.body != "GET "+target {
		return fmt.Sprintf("got %q %q, %v", m.line, m.body, err)
	}
	return ""
}

// checkLink checks what became of the host's connection.
func (r *trial) checkLink(mark int) string {
	requests, canaries := r.rec.since(mark)
	if len(requests) == 0 {
		return ""
	}
	used, next := requests[len(requests)-1].conn, canaries[0].conn
	switch {
	case r.c.flags["thrown"] && used == next:
		return "the host's connection was used again"
	case r.c.flags["kept"] && used != next:
		return "the host's connection was thrown away"
	}
	return ""
}

// runCuts sends the case's bytes up to each of them, and no further.
func (r *trial) runCuts() {
	whole := r.c.request
	if r.c.response != nil {
		whole = r.c.response
	}
	for n := range whole {
		if why := r.cut(n); why != "" {
			r.t.Errorf("cut at %d, behind %q: %s", n, whole[max(0, n-10):n], why)
		}
	}
	if why := r.canary(); why != "" {
		r.t.Errorf("the canary behind: %s", why)
	}
}

// cut lets the sender stop after n bytes. A client does so in turn by a reset,
// by an orderly end and by closing its direction only.
func (r *trial) cut(n int) string {
	w := r.dial()
	defer w.Close()
	if r.c.response != nil {
		r.rec.speak(func(b []byte) [][]byte { return atOnce(b[:n]) })
		w.send(string(r.c.request))
	} else {
		writeAll(w.Conn, atOnce(r.c.request[:n]))
	}
	switch {
	case r.c.response != nil:
	case n%3 == 0:
		_ = w.Conn.(*net.TCPConn).SetLinger(0)
		return ""
	case n%3 == 1:
		return ""
	default:
		_ = clienttls.CloseWrite(w.Conn)
	}
	m, err := readAnswer(w, "GET")
	if err == nil && m.line[9] == '2' {
		return fmt.Sprintf("the client got %q %q, which looks whole", m.line, m.body)
	}
	var bad errNotStrict
	if errors.As(err, &bad) || deadline.Exceeded(err) {
		return err.Error()
	}
	return ""
}
