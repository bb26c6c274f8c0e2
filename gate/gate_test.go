package gate

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/health"
	"tokenring/lease"
)

const length = 10 * time.Second

// A bench is a gate with a clock that stands still, before a service that tells what it gets.
type bench struct {
	*Gate
	t       testing.TB
	clock   atomic.Int64
	address string
	keys    []ed25519.PrivateKey // of the balancers
	service net.Listener
	changes chan Status
}

// newBench returns a running gate that knows three balancers. Its service answers with handle.
func newBench(t testing.TB, handle http.HandlerFunc) *bench {
	t.Helper()
	b := &bench{t: t, service: listen(t), changes: make(chan Status, 100)}
	b.clock.Store(int64(time.Hour))
	known := map[lease.Fingerprint]string{}
	for i := range 4 {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = byte(i)
		key := ed25519.NewKeyFromSeed(seed)
		b.keys = append(b.keys, key)
		if i < 3 {
			der, err := x509.MarshalPKIXPublicKey(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			known[sha256.Sum256(der)] = fmt.Sprintf("lb-%d", i+1)
		}
	}
	if handle != nil {
		srv := &http.Server{Handler: handle}
		go srv.Serve(b.service)
		t.Cleanup(func() { srv.Close() })
	}
	b.Gate = New(Config{Host: "ide-1", To: b.service.Addr().String(), Marker: "X-Lb-Second-Chance", Balancers: known, OnChange: func(s Status) { b.changes <- s }}, zerolog.Nop())
	b.now = func() time.Duration { return time.Duration(b.clock.Load()) }
	ln := listen(t)
	b.address = ln.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the gate doesn't end")
		}
	})
	return b
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// dial opens a connection to the gate.
func (b *bench) dial() *net.TCPConn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn.(*net.TCPConn)
}

// get sends a request with some fields, and returns the first answer, and what follows if all.
func (b *bench) get(fields string, all bool) (status int, header http.Header, rest string) {
	b.t.Helper()
	conn := b.dial()
	defer conn.Close()
	fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: ide-1\r\n%sConnection: close\r\n\r\n", fields)
	answers := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if all {
		body, _ := io.ReadAll(resp.Body)
		more, _ := io.ReadAll(answers)
		rest = string(body) + string(more)
	}
	return resp.StatusCode, resp.Header, rest
}

// proof returns the field with which a balancer answers the gate's challenge of now.
func (b *bench) proof(balancer int, length time.Duration) string {
	b.t.Helper()
	b.clock.Add(1) // of challenges of one moment a balancer can use one
	_, header, _ := b.get("Lb-Lease: v1\r\n", false)
	challenge, _, ok := lease.ReadAnswer(header.Get(lease.Field))
	if !ok {
		b.t.Fatalf("no challenge: %v", header)
	}
	key := b.keys[balancer]
	return "Lb-Lease: " + lease.Claim{Host: "ide-1", Challenge: challenge, Length: length, Of: 3}.
		Prove(key.Public().(ed25519.PublicKey), func(m []byte) []byte { return ed25519.Sign(key, m) }) + "\r\n"
}

// open has two of the three balancers give leases.
func (b *bench) open() {
	b.t.Helper()
	for balancer := range 2 {
		if status, _, _ := b.get(b.proof(balancer, length), false); status != 103 {
			b.t.Fatalf("the check of balancer %d: %d", balancer, status)
		}
	}
}

// echo is a service that answers each line with itself, checks aside. It returns the lines, and
// how each connection ends.
func (b *bench) echo() <-chan string {
	got := make(chan string, 100)
	serve := func(conn net.Conn) {
		defer conn.Close()
		for r := bufio.NewReader(conn); ; {
			line, err := r.ReadString('\n')
			switch {
			case err != nil:
				got <- err.Error()
				return
			case strings.Contains(line, "/healthz"):
				return
			}
			got <- line
			_, _ = io.WriteString(conn, line)
		}
	}
	go func() {
		for {
			conn, err := b.service.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return got
}

// connect opens a connection of a user through the gate, to a service that echo serves.
func (b *bench) connect(got <-chan string) (conn *net.TCPConn, answers *bufio.Reader) {
	b.t.Helper()
	conn = b.dial()
	answers = bufio.NewReader(conn)
	fmt.Fprint(conn, "GET / HTTP/1.1\n\n")
	for _, want := range []string{"GET / HTTP/1.1\n", "\n"} {
		if line, err := answers.ReadString('\n'); line != want || <-got != want {
			b.t.Fatalf("got %q, %v", line, err)
		}
	}
	return conn, answers
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "from the service") }

func TestAHostIsFencedUntilAMajorityGivesLeases(t *testing.T) {
	t.Parallel()
	b := newBench(t, ok)
	refused := func(when string) {
		t.Helper()
		if status, header, _ := b.get("", false); status != 421 || header.Get("X-Lb-Second-Chance") != Fenced {
			t.Errorf("%s: %d %v", when, status, header)
		}
	}
	refused("at first")
	if status, _, rest := b.get(b.proof(0, length), true); status != 103 || !strings.Contains(rest, "HTTP/1.1 200") || !strings.Contains(rest, "from the service") {
		t.Errorf("a check of a fenced host: %d %q", status, rest)
	}
	refused("with one lease")
	if status, _, _ := b.get(b.proof(1, 0), false); status != 103 {
		t.Errorf("a check that gives no lease: %d", status)
	}
	refused("with a check that gives none")
	b.open()
	if status, _, rest := b.get("", true); status != 200 || rest != "from the service" {
		t.Errorf("with two leases: %d %q", status, rest)
	}
	if s := b.Status(); s.Fenced || s.String() != "open: balancers reach this host (lb-1, lb-2)" {
		t.Errorf("status: %v", s)
	}
	b.clock.Add(int64(length))
	refused("when they are over")
	if s := b.Status(); !s.Fenced || s.String() != "fenced: no majority of the balancers reaches this host (none)" {
		t.Errorf("status: %v", s)
	}
	if first, second := <-b.changes, <-b.changes; first.Fenced || !second.Fenced {
		t.Errorf("told: %v, %v", first, second)
	}
}

func TestACheckThatProvesNothingDoesNotReachTheService(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(http.ResponseWriter, *http.Request) { t.Error("it has reached the service") })
	used := b.proof(0, 0)
	for _, row := range []struct {
		field string
		want  error
	}{
		{b.proof(3, length), lease.ErrUnknown},
		{"Lb-Lease: nonsense\r\n", lease.ErrMalformed},
		{"Lb-Lease: v1\r\n", lease.ErrHello},
		{strings.Replace(used, " 0 3 ", " 9000 3 ", 1), lease.ErrSignature},
	} {
		status, header, _ := b.get(row.field, false)
		if _, refused, _ := lease.ReadAnswer(header.Get(lease.Field)); status != 421 || refused != row.want || header.Get("X-Lb-Second-Chance") != "" {
			t.Errorf("%q: %d %v", row.field, status, header)
		}
	}
}

// TestConnectionsKeepTheirHalves: an end of one direction is passed on, and the other one goes on.
func TestConnectionsKeepTheirHalves(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.echo()
	b.open()
	conn, answers := b.connect(got)
	fmt.Fprint(conn, "the last line\n")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(answers); string(rest) != "the last line\n" || err != nil {
		t.Errorf("the client got %q, %v", rest, err)
	}
	if line, end := <-got, <-got; line != "the last line\n" || end != "EOF" {
		t.Errorf("the service got %q, %q", line, end)
	}
}

func TestTheFenceResetsWhatIsOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.echo()
	b.open()
	_, answers := b.connect(got)
	b.clock.Add(int64(length))
	if _, err := answers.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v", err)
	}
	if end := <-got; !strings.Contains(end, "reset") {
		t.Errorf("the service got %q", end)
	}
}

// TestNothingPassesOnceTheLeasesAreOver: also if nobody has noticed it yet, as after the machine
// was suspended.
func TestNothingPassesOnceTheLeasesAreOver(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.echo()
	b.open()
	conn, answers := b.connect(got)
	b.mu.Lock() // so that the fence can't be noticed
	b.clock.Add(int64(length))
	fmt.Fprint(conn, "too late\n")
	if _, err := answers.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v", err)
	}
	b.mu.Unlock()
	if end := <-got; !strings.Contains(end, "reset") {
		t.Errorf("the service got %q", end)
	}
}

// TestALeaseDoesNotHelpWhatWasOpenBeforeAGap: others may have served the users meanwhile.
func TestALeaseDoesNotHelpWhatWasOpenBeforeAGap(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.echo()
	b.open()
	_, answers := b.connect(got)
	again := b.proof(0, length)
	b.clock.Add(int64(length) - 2) // the first lease of that balancer is over, and that of the other one isn't
	if status, _, _ := b.get(again, false); status != 103 {
		t.Fatalf("a check: %d", status)
	}
	if _, err := answers.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v", err)
	}
	<-got
	b.connect(got)
}

func TestALeaseThatIsRenewedCutsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.echo()
	b.open()
	conn, answers := b.connect(got)
	for range 5 {
		b.clock.Add(int64(length) - 10)
		b.open()
	}
	fmt.Fprint(conn, "still here\n")
	if line, err := answers.ReadString('\n'); line != "still here\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestAServiceThatDoesNotAcceptIsAReset(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.open()
	b.service.Close()
	conn := b.dial()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\n\r\n")
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

func TestBalancersThatLeaveTheListTakeTheirLeasesAlong(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	got := b.echo()
	b.open()
	_, answers := b.connect(got)
	b.SetBalancers(map[lease.Fingerprint]string{{1}: "lb-4", {2}: "lb-5", {3}: "lb-6"})
	if _, err := answers.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v", err)
	}
}

// TestBalancersOpenTheGateWithTheirChecks has the checks of two real monitors: at first, with
// challenges that aren't new any more, and with leases that are withdrawn.
func TestBalancersOpenTheGateWithTheirChecks(t *testing.T) {
	t.Parallel()
	b := newBench(t, ok)
	passed := make(chan health.Status, 1000)
	var monitors []*health.Monitor
	for balancer := range 3 {
		key := b.keys[[]int{0, 1, 3}[balancer]]
		m := health.New(health.Config{Interval: 50 * time.Millisecond, Timeout: 20 * time.Second}, zerolog.Nop(), func(_ string, s health.Status) {
			if balancer == 2 {
				passed <- s
			}
		})
		m.SetLeasing(health.Leasing{Prove: func(host, challenge string, gives bool) string {
			c := lease.Claim{Host: host, Challenge: challenge, Of: 3}
			if gives {
				c.Length = length
			}
			return c.Prove(key.Public().(ed25519.PublicKey), func(m []byte) []byte { return ed25519.Sign(key, m) })
		}})
		m.Lease(map[string]bool{"ide-1": true})
		m.Watch([]health.Target{{Name: "ide-1", Address: b.address}})
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = m.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })
		monitors = append(monitors, m)
	}
	if s := <-b.changes; s.Fenced {
		t.Errorf("told: %v", s)
	}
	if s := <-passed; s.Up || !s.Gate || s.Error != "the host's gate doesn't know this balancer's key" {
		t.Errorf("the checks of a balancer that the gate doesn't know: %+v", s)
	}
	b.clock.Add(int64(length)) // the challenges that they have are too old now
	if s := <-b.changes; !s.Fenced {
		t.Errorf("told: %v", s)
	}
	if s := <-b.changes; s.Fenced {
		t.Errorf("told: %v", s)
	}
	monitors[0].Lease(map[string]bool{"ide-2": true})
	b.clock.Add(int64(length))
	end := time.Now().Add(30 * time.Second)
	for s := b.Status(); !s.Fenced || fmt.Sprint(s.Giving) != "[lb-2]"; s = b.Status() {
		if time.Now().After(end) {
			t.Fatalf("status: %v", s)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
