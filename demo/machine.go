package demo

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"strconv"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"tokenring/route"
)

// An Announcement is what the agent of a machine announces.
type Announcement struct {
	route.Spec
	Log zerolog.Logger
}

// A machine is an IDE host with its agent. It can be stopped and started; its
// address stays the same.
//
//	running ──toggle──▶ stopped     (the agent announces that it leaves)
//	running ──crash───▶ crashed     (the service has ended, the agent hasn't)
//	stopped, crashed ──toggle──▶ running
type machine struct {
	Announcement
	announce func(context.Context, Announcement) error
	host     HostConfig
	ln       net.Listener // for the first run; later runs listen again
	commands chan command
}

type command int

const (
	commandToggle command = iota
	commandCrash
)

func newMachine(name string, id uint32, r *Region) (*machine, error) {
	ln, err := listenBelow() // so that the port is still free after a stop
	if err != nil {
		return nil, err
	}
	log := r.Log.With().Str("demo_host", name).Logger()
	m := &machine{Announcement: Announcement{Spec: route.Spec{Name: name, ID: id, Address: ln.Addr().String(), Weight: 1, Zone: "demo"}, Log: log}, announce: r.Announce, ln: ln, commands: make(chan command, 1)}
	m.host = HostConfig{Name: name, Shell: r.Shell, Logger: log, Stop: func() { m.command(commandToggle) }}
	return m, nil
}

// command gives the machine a command. It drops the command if the machine hasn't taken
// the one before yet: the user has pressed a key twice.
func (m *machine) command(c command) {
	select {
	case m.commands <- c:
	default:
	}
}

// supervise runs the machine until ctx ends, and starts it again when a command comes.
func (m *machine) supervise(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := m.run(ctx); err != nil {
			return fmt.Errorf("demo host %s: %w", m.Name, err)
		}
		select {
		case <-ctx.Done():
		case <-m.commands: // any command starts the host again
		}
	}
	return nil
}

// run runs the host and its agent, until a command ends both or ctx ends.
func (m *machine) run(ctx context.Context) error {
	ln := m.ln
	if m.ln = nil; ln == nil {
		var err error
		if ln, err = net.Listen("tcp", m.Address); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	agentCtx, leave := context.WithCancel(ctx)
	serviceCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer leave()
	group.Go(func() error {
		defer stop() // a host announces that it leaves before it stops
		return m.announce(agentCtx, m.Announcement)
	})
	group.Go(func() error { return NewHost(m.host).Serve(serviceCtx, ln) })
	group.Go(func() error {
		defer leave()
		for crashed := false; ; {
			select {
			case <-agentCtx.Done():
				return nil
			case c := <-m.commands:
				if c == commandToggle {
					if crashed {
						m.command(commandToggle) // for supervise, which starts it again
					}
					return nil
				}
				crashed = true
				stop() // the agent continues, as if only the service had died
			}
		}
	})
	return group.Wait()
}

// listenBelow listens on a loopback port below the range from which Linux takes ports for
// connections and for port 0 (32768 to 60999). In that range, another connection might
// take the port while the host is stopped.
func listenBelow() (ln net.Listener, err error) {
	const from, to = 20000, 32000
	for range 100 {
		if ln, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(from+mathrand.IntN(to-from)))); err == nil {
			return ln, nil
		}
	}
	return nil, err
}
