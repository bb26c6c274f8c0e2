package logsink

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestDestinationsAreRead(t *testing.T) {
	for text, want := range map[string]Destination{
		"lb.log":                      {File: "lb.log"},
		"/var/log/lb.log":             {File: "/var/log/lb.log"},
		"syslog":                      {Network: "unixgram", Address: "/dev/log"},
		"syslog:/run/log":             {Network: "unixgram", Address: "/run/log"},
		"syslog:udp://10.0.0.5:514":   {Network: "udp", Address: "10.0.0.5:514"},
		"syslog:udp://[fd00::5]:1514": {Network: "udp", Address: "[fd00::5]:1514"},
	} {
		if got, err := Parse(text); got != want || err != nil {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "stdot", "syslog:", "syslog:log", "syslog:udp://", "syslog:udp://10.0.0.5", "syslog:udp://logs.example:514", "syslog:tcp://10.0.0.5:514"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%s: got %+v, want an error", text, got)
		}
	}
}

func TestAFileIsFollowedByItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lb.log")
	s, err := Destination{File: path}.Open("lb")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	write := func(line string) {
		t.Helper()
		if _, err := s.Write([]byte(line + "\n")); err != nil {
			t.Error(err)
		}
	}
	holds := func(file, want string) {
		t.Helper()
		if got, err := os.ReadFile(file); string(got) != want || err != nil {
			t.Errorf("%s has %q, %v; want %q", file, got, err, want)
		}
	}
	write("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("two")
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	write("three")
	holds(path+".1", "one\ntwo\n")
	holds(path, "three\n")

	// What can't be opened leaves the file before in use.
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("got %v", err)
	}
	write("four")
	holds(path+".2", "three\nfour\n")
}

// TestSyslogGetsMessages by a socket and by UDP, also after the receiver has been away.
func TestSyslogGetsMessages(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	unix, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for text, receiver := range map[string]net.PacketConn{"syslog:" + socket: unix, "syslog:udp://" + udp.LocalAddr().String(): udp} {
		s := opened(t, text)
		log := zerolog.New(s)
		log.Error().Msg("trouble")
		expect(t, receiver, `^<27>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ lb \d+ - - \{"level":"error","message":"trouble"\}$`)
		log.Warn().Msg("w")
		expect(t, receiver, `^<28>1 .*"w"\}$`)
		if _, err := s.Write([]byte("a line\n")); err != nil {
			t.Error(err)
		}
		expect(t, receiver, `^<30>1 .* - - a line$`)
	}

	s := opened(t, "syslog:"+socket)
	unix.Close()
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("lost")); err == nil {
		t.Error("nobody takes it, and there is no error")
	}
	if unix, err = net.ListenPacket("unixgram", socket); err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := s.Write([]byte("again")); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it isn't found again")
		}
	}
	expect(t, unix, ` again$`)
}

func opened(t *testing.T, text string) Sink {
	t.Helper()
	d, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Open("lb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// expect reads a message.
func expect(t *testing.T, receiver net.PacketConn, pattern string) {
	t.Helper()
	_ = receiver.SetReadDeadline(time.Now().Add(20 * time.Second))
	buffer := make([]byte, 4096)
	n, _, err := receiver.ReadFrom(buffer)
	if err != nil || !regexp.MustCompile(pattern).Match(buffer[:n]) {
		t.Errorf("got %q, %v; want %s", buffer[:n], err, pattern)
	}
}

// TestAReceiverThatTakesNothingCostsNoTime fills the queue of a socket.
func TestAReceiverThatTakesNothingCostsNoTime(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	receiver, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	s := opened(t, "syslog:"+socket)
	began, failed := time.Now(), 0
	line := []byte(strings.Repeat("x", 1000))
	for range 5000 {
		if _, err := s.Write(line); err != nil {
			failed++
		}
	}
	if took := time.Since(began); failed == 0 || took > 20*time.Second {
		t.Errorf("%d of 5000 lines were lost, in %v", failed, took)
	}
}

// TestAReceiverThatTakesWhatComesGetsItOnABusyMachine: between two statements a machine may do
// something else for longer than a receiver is waited for.
func TestAReceiverThatTakesWhatComesGetsItOnABusyMachine(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	receiver, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	s := newSyslog(Destination{Network: "unixgram", Address: socket}, "lb")
	defer s.Close()
	s.patience = -time.Second
	for range 2 {
		if _, err := s.Write([]byte("a line")); err != nil {
			t.Fatal(err)
		}
		expect(t, receiver, ` a line$`)
	}
}
