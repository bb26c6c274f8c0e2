package tunnel

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/proxy/socket"
)

// keepAlive returns the pause of the kernel's questions to the host.
func (b *bench) keepAlive() time.Duration {
	b.t.Helper()
	n, err := unix.GetsockoptInt(b.tun.host.FD(), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
	if err != nil {
		b.t.Fatal(err)
	}
	return time.Duration(n) * time.Second
}

// TestATunnelIsProbedForAWhile, and one with a host that is there stays.
func TestATunnelIsProbedForAWhile(t *testing.T) {
	b := newBench(t)
	b.tun.Probe()
	if got := b.keepAlive(); got != probePause {
		t.Errorf("the host is asked after %v, want %v", got, probePause)
	}
	b.tun.Tick(time.Now())
	if got := b.keepAlive(); got != probePause {
		t.Errorf("soon after, the host is asked after %v, want %v", got, probePause)
	}
	b.tun.Tick(time.Now())
	if got := b.keepAlive(); got != socket.KeepAlive {
		t.Errorf("later the host is asked after %v, want %v", got, socket.KeepAlive)
	}
	b.say(b.host, b.client, "still here")
	b.ended("")
}

// TestAProbeEndsWhatTheHostHasForgotten: its end of the connection is gone without a word, as
// after a loss of power.
func TestAProbeEndsWhatTheHostHasForgotten(t *testing.T) {
	b := newBench(t)
	raw, err := b.host.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var repairErr error
	if err := raw.Control(func(fd uintptr) {
		repairErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
	}); err != nil {
		t.Fatal(err)
	}
	if repairErr != nil {
		t.Skipf("only root can close a connection without a word: %v", repairErr)
	}
	b.host.Close()
	b.events(false)
	b.ended("")
	b.tun.Probe()
	for end := time.Now().Add(20 * time.Second); b.tun.Stats().Why == "" && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		b.events(false)
	}
	b.ended(ByHost)
}
