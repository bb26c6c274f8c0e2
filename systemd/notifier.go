// Package systemd tells the service manager that started this process what state the
// service is in, by the protocol of sd_notify(3), and keeps its watchdog quiet. Without a
// service manager that wants to know, it does nothing.
package systemd

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// variables are the environment variables of the protocol.
var variables = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

const (
	// sendTimeout is how long the service manager may take to make room for a message.
	sendTimeout = time.Second

	// retryInterval is how often Run tries to send what is owed if there is no watchdog.
	retryInterval = time.Second

	// maxOwed bounds the messages that wait for a service manager without room. The oldest
	// go first: the newest say what is so now.
	maxOwed = 16
)

// A Notifier sends the service's state to the service manager. Its methods do nothing if
// there is none, or if the Notifier is nil. They are safe for concurrent use, and messages
// arrive in the order of the calls. A state that can't be sent is logged and owed: it is
// sent before the next message, or by Run, because systemctl waits for some of them for as
// long as it takes. The service never waits for its manager for longer than sendTimeout.
type Notifier struct {
	socket   string        // "" if nobody listens
	watchdog time.Duration // within which the service manager wants to hear of us; 0: never
	log      zerolog.Logger

	sendTimeout, retryInterval time.Duration // those of the package, but in tests

	mu     sync.Mutex
	owed   []string // messages that weren't sent, oldest first
	failed bool     // the last attempt to send has failed
}

// FromEnvironment returns the Notifier of this process. The environment stays as it is, so
// that the process has it still after it has replaced its binary; for processes that it
// starts there is ChildEnvironment.
func FromEnvironment(log zerolog.Logger) *Notifier {
	n := &Notifier{log: log, socket: os.Getenv("NOTIFY_SOCKET"), sendTimeout: sendTimeout, retryInterval: retryInterval}
	if n.socket == "" {
		return n
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn().Err(err).Msg("no watchdog of the service manager, because the environment says no time that it could mean")
	}
	n.watchdog = watchdog
	return n
}

// ChildEnvironment returns env without the variables of the protocol. The service manager
// wants to hear of the main process only.
func ChildEnvironment(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(variables, name)
	})
}

// Ready says that the service has started, or has ended a reload.
func (n *Notifier) Ready(status string) { n.send(daemon.SdNotifyReady, statusLine(status)) }

// Reloading says that a reload begins. Ready must follow in any case, also when the reload
// has failed: the service manager waits for it.
func (n *Notifier) Reloading(status string) {
	n.send(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()), statusLine(status))
}

// Stopping says that the service stops, and needs at most the time within. The service
// manager waits for so long even if its own limit, such as TimeoutStopSec, is shorter.
func (n *Notifier) Stopping(within time.Duration, status string) {
	n.send(daemon.SdNotifyStopping, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", within.Microseconds()), statusLine(status))
}

// Status sets the line that systemctl status shows.
func (n *Notifier) Status(status string) { n.send(statusLine(status)) }

// Run tells the watchdog that the service works, three times within the time that it
// allows, until ctx ends. It does so each time alive has returned true; alive may block, but
// returns when ctx ends, and isn't asked if there is no watchdog. It also sends what is owed.
// Run returns at once if there is no service manager.
func (n *Notifier) Run(ctx context.Context, alive func(context.Context) bool) {
	if n == nil || n.socket == "" {
		return
	}
	interval := n.retryInterval
	if n.watchdog > 0 {
		interval = max(n.watchdog/3, time.Millisecond)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if n.watchdog > 0 && alive(ctx) {
			n.deliver(daemon.SdNotifyWatchdog)
		} else {
			n.deliver("")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// statusLine is the assignment of a status. A line break would begin another assignment.
func statusLine(status string) string {
	return "STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, status)
}

// send sends the assignments of a state in one message, now or when there is room for it.
func (n *Notifier) send(assignments ...string) {
	if n == nil || n.socket == "" {
		return
	}
	n.mu.Lock()
	n.owed = append(n.owed, strings.Join(assignments, "\n"))
	n.owed = n.owed[max(0, len(n.owed)-maxOwed):]
	n.mu.Unlock()
	n.deliver("")
}

// deliver sends what is owed, and then message if it isn't empty. It waits for sendTimeout
// at most, unlike daemon.SdNotify, which waits for a service manager that hangs as long as
// that does.
func (n *Notifier) deliver(message string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var err error
	for err == nil && len(n.owed) > 0 {
		if err = n.write(n.owed[0]); err == nil {
			n.owed = n.owed[1:]
		}
	}
	if err == nil && message != "" {
		err = n.write(message)
	}
	if err != nil && !n.failed {
		n.log.Warn().Err(err).Str("socket", n.socket).Msg("the service manager doesn't hear of the service's state; it is told again")
	}
	n.failed = err != nil
}

// write sends one datagram. A socket whose name begins with @ is an abstract one.
func (n *Notifier) write(message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(n.sendTimeout)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}
