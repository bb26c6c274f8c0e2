package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"tokenring/config"
	"tokenring/edge"
	"tokenring/route"
)

// TestCtlCommands runs the stories of lb ctl, each with a balancer of its
// own that has three hosts. lb.yaml is in the story's directory; $ADMIN is where
// the admin endpoint is.
func TestCtlCommands(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "../../testdata/lb/ctl", UpdateScripts: *update, Setup: func(env *testscript.Env) error {
		admin, stop, err := serveRegion(env.WorkDir, "")
		if err != nil {
			return err
		}
		env.Defer(stop)
		env.Setenv("ADMIN", admin)
		env.Setenv("USER", "eva")
		return nil
	}})
}

// serveRegion runs a balancer with three hosts, whose files are in dir, until
// stop; more is for its section admin keys of its section admin.
func serveRegion(dir, more string) (admin string, stop func(), err error) {
	adminLn, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	clients, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	admin = adminLn.Addr().String()
	text := fmt.Sprintf(`
name: lb-1
listen: [{address: "127.0.0.1:0"}]
health: {interval: 1s, timeout: 1s, rise: 1, fall: 5}
admin: {address: %q, confirm_share: 0.2, %s}
routes: [{name: gone, path: /gone, respond: {status: 410}}]
limits: {per_source: {requests: 1000/s, terminals: 20}}
state_dir: state
pool:
  hosts:
`, admin, more)
	var hosts [3]*httptest.Server
	for i := range hosts {
		hosts[i] = httptest.NewServer(ideHost())
		text += fmt.Sprintf("    - {name: ide-%d, id: %d, address: %q}\n", i+1, i+1, hosts[i].Listener.Addr())
	}
	file := filepath.Join(dir, "lb.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	cfg, err := config.Load(file)
	if err != nil {
		return "", nil, err
	}
	e, err := edge.New(cfg, edge.Sockets{Clients: []net.Listener{clients}, Admin: adminLn}, edge.Options{Logger: zerolog.Nop(), AccessLog: io.Discard})
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	serves := func() bool {
		snap := e.Snapshot()
		return inRing(snap) == len(hosts) && !snap.Rebuilding && e.Ready() == nil
	}
	for deadline := time.Now().Add(time.Minute); !serves(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			cancel()
			return "", nil, fmt.Errorf("%d of %d hosts are in the ring", inRing(e.Snapshot()), len(hosts))
		}
	}
	return admin, func() {
		cancel()
		<-ended
		for _, h := range hosts {
			h.Close()
		}
	}, nil
}

// inRing returns how many hosts are in the ring.
func inRing(s *route.Snapshot) (n int) {
	for _, h := range s.Hosts {
		if h.InRing {
			n++
		}
	}
	return n
}
