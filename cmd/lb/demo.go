package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"

	"tokenring/config"
	"tokenring/demo"
	"tokenring/edge"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
)

type demoCmd struct {
	Port      int  `default:"8443" help:"Port of the balancer's TLS listener; a free one if it is taken."`
	AdminPort int  `default:"7000" help:"Port of the admin endpoint; a free one if it is taken."`
	Hosts     int  `default:"3" help:"How many IDE hosts, 1 to 9."`
	Shell     bool `default:"true" negatable:"" help:"Run real shells, as the user who starts the demo (default). With --no-shell there are only built-in commands."`
	Verbose   bool `short:"v" help:"Show the balancer's own log."`
}

// Help is the text that --help adds.
func (demoCmd) Help() string {
	return `Everything runs in this process and listens only on loopback: a balancer with a
new certificate, IDE hosts that join it by gossip, and the admin endpoint. The demo
leaves no files, however it ends.

It says which user has a terminal open on which host, where a new terminal would go,
and what changes that. A live terminal stays where it is.

Type a host's number and Enter to stop or start it, k and its number to make it
crash, q to quit.`
}

// Run runs the demo until ctx ends or the user quits.
func (d *demoCmd) Run(ctx context.Context, s *streams) error {
	if d.Hosts < 1 || d.Hosts > 9 {
		return usageError{errors.New("lb demo: --hosts must be from 1 to 9")}
	}
	ctx, done := untilAnySignal(ctx)
	defer done()
	dir, err := demo.NewDir()
	if err != nil {
		return err
	}
	return errors.Join(d.play(ctx, dir.Path, s), dir.Remove())
}

// play runs the demo with its files in dir. It ends when ctx ends, the user quits, or a
// part fails.
func (d *demoCmd) play(ctx context.Context, dir string, s *streams) error {
	sockets, err := d.listen()
	if err != nil {
		return err
	}
	listen, admin, token := portOf(sockets.Clients[0]), portOf(sockets.Admin), randomText()
	cfg, err := demoConfig(dir, listen, admin, token)
	if err != nil {
		sockets.Close()
		return err
	}
	errOut := io.Discard
	cfg.Log = config.LogConfig{Level: "warn", Format: "console"}
	if d.Verbose {
		errOut, cfg.Log.Level, cfg.Log.Access = s.err, "info", true
	}
	log := edge.NewLogger(cfg.Log, errOut)
	e, err := edge.New(cfg, sockets, edge.Options{Version: version(), Logger: log, AccessLog: errOut})
	if err != nil {
		return err
	}
	region := demo.Region{Hosts: d.Hosts, Shell: d.Shell, In: s.in, Out: s.out, Log: log, Announce: announcer(e.GossipAddr(), cfg)}
	region.Balancer = demo.Balancer{
		Run: e.Run, Close: e.Close, Snapshot: e.Snapshot, SessionHost: e.SessionHost, AdminToken: token,
		URL: fmt.Sprintf("https://localhost:%d", listen), AdminURL: fmt.Sprintf("http://127.0.0.1:%d", admin),
	}
	return region.Run(ctx)
}

// announcer returns a func that runs the agent of a demo host. The agent joins the gossip
// of the balancer at seed. A host that comes again has the key that it had.
func announcer(seed string, cfg *config.Config) func(context.Context, demo.Announcement) error {
	var identities sync.Map // of *announcement.Identity, by host
	return func(ctx context.Context, m demo.Announcement) error {
		sockets, err := gossip.Listen(loopback(0))
		if err != nil {
			return err
		}
		identity, _ := identities.LoadOrStore(m.Name, announcement.NewIdentity())
		return gossip.RunAgent(ctx, gossip.AgentConfig{
			Config:   gossip.Config{Join: []string{seed}, SecretFile: cfg.Pool.SecretFile},
			Spec:     m.Spec,
			Identity: identity.(*announcement.Identity),
			Version:  version(),
		}, sockets, m.Log)
	}
}

// demoConfig writes the demo's configuration to dir, and loads it.
func demoConfig(dir string, listen, admin int, token string) (*config.Config, error) {
	file, err := demo.WriteFiles(dir, listen, admin, token)
	if err != nil {
		return nil, err
	}
	return config.Load(file)
}

// listen opens the balancer's sockets.
func (d *demoCmd) listen() (s edge.Sockets, err error) {
	clients, err := listenAtOrElsewhere(d.Port)
	if err != nil {
		return s, err
	}
	s.Clients = []net.Listener{clients}
	if s.Admin, err = listenAtOrElsewhere(d.AdminPort); err != nil {
		s.Close()
		return edge.Sockets{}, err
	}
	if s.Pool, err = gossip.Listen(loopback(0)); err != nil {
		s.Close()
		return edge.Sockets{}, err
	}
	return s, nil
}

// listenAtOrElsewhere listens on a port of loopback, or on a free port if that one is in
// use.
func listenAtOrElsewhere(port int) (net.Listener, error) {
	if ln, err := net.Listen("tcp", loopback(port)); err == nil {
		return ln, nil
	}
	return net.Listen("tcp", loopback(0))
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func randomText() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
