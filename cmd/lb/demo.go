package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"tokenring/config"
	"tokenring/tlsterm"
)

type demoCmd struct {
	Port      int  `default:"8443" help:"Port of the balancer's TLS listener; a free one if it is taken."`
	AdminPort int  `default:"7000" help:"Port of the admin endpoint; a free one if it is taken."`
	Hosts     int  `default:"3" help:"How many IDE hosts, 1 to 9."`
	Shell     bool `default:"true" negatable:"" help:"Run real shells, as the user who starts the demo (default). --no-shell has built-in commands only."`
	Verbose   bool `short:"v" help:"Show the balancer's own log."`
}

// Help is the text that --help adds.
func (demoCmd) Help() string {
	return `Everything runs in this process and listens on loopback only: a balancer with a
certificate made on the spot, IDE hosts that join it through gossip, and the
admin endpoint. Nothing is left behind, however it ends.

It says who has a terminal open on which host, where a first terminal would go,
and what changes that: a live terminal stays where it is.

Type a host's number and Enter to stop or start it, k and its number to make it
crash, q to quit.`
}

// Run runs the demo until ctx ends or the user quits.
func (d *demoCmd) Run(ctx context.Context, s *streams) error {
	if d.Hosts < 1 || d.Hosts > 9 {
		return usageError{errors.New("lb demo: --hosts must be from 1 to 9")}
	}
	ctx, done := untilEnded(ctx)
	defer done()
	dir, err := newDemoDir()
	if err != nil {
		return err
	}
	return errors.Join(d.play(ctx, dir.path, s), dir.remove())
}

// play runs the balancer and the hosts, with their files in dir, until ctx ends, the
// user quits, or a part fails.
func (d *demoCmd) play(ctx context.Context, dir string, s *streams) error {
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	stage, err := d.setUp(dir, s)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return stage.edge.Run(ctx) })
	for _, h := range stage.hosts {
		g.Go(func() error { return h.supervise(ctx) })
	}
	g.Go(func() error { return stage.narrate(ctx) })
	go stage.obey(s.in, quit) // ends with standard input: a read from a terminal can't be interrupted
	return g.Wait()
}

// setUp writes the demo's configuration to dir, as an operator would, and
// builds the balancer and the hosts from it.
func (d *demoCmd) setUp(dir string, s *streams) (*stage, error) {
	token := randomText()
	if err := writeDemoFiles(dir, portOr0(d.Port), portOr0(d.AdminPort), token); err != nil {
		return nil, err
	}
	cfg, err := config.Load(filepath.Join(dir, "lb.yaml"))
	if err != nil {
		return nil, err
	}
	errOut := io.Discard
	cfg.Log = config.LogConfig{Level: "warn", Format: "console"}
	if d.Verbose {
		errOut, cfg.Log.Level, cfg.Log.Access = s.err, "info", true
	}
	log := newLogger(cfg.Log, errOut)
	e, err := newEdge(cfg, log, errOut)
	if err != nil {
		return nil, err
	}
	st := &stage{edge: e, out: s.out, listen: portOf(e.fronts[0].ln), admin: portOf(e.adminLn), token: token}
	for i := range d.Hosts {
		h, err := newDemoHost(fmt.Sprintf("ide-%d", i+1), uint32(i+1), d.Shell, e.pool.GossipAddr(), cfg.Pool.SecretFile, log)
		if err != nil {
			st.close()
			return nil, err
		}
		st.hosts = append(st.hosts, h)
	}
	return st, nil
}

const demoYAML = `name: lb-demo
listen:
  - {address: "127.0.0.1:%[1]d", tls: true}
tls:
  certificates: [{cert: demo.crt, key: demo.key}]
pool:
  bind: 127.0.0.1:0
  allowed_networks: [127.0.0.0/8]
  secret_file: pool.key
health: {interval: 1s, timeout: 500ms, rise: 1, fall: 2}
timeouts: {shutdown: 1s}
admin: {address: "127.0.0.1:%[2]d", token_file: admin.token}
state_dir: state
`

func writeDemoFiles(dir string, listen, admin int, token string) error {
	cert, key, err := tlsterm.SelfSigned("localhost", "127.0.0.1", "::1")
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	for name, data := range map[string]string{
		"lb.yaml":     fmt.Sprintf(demoYAML, listen, admin),
		"demo.crt":    string(cert),
		"demo.key":    string(key),
		"admin.token": token + "\n",
		"pool.key":    base64.StdEncoding.EncodeToString(secret) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func randomText() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// portOr0 returns port if it can be listened on, and otherwise 0, which stands for
// a free one.
func portOr0(port int) int {
	ln, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return 0
	}
	ln.Close()
	return port
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// listenBelow listens on a port of loopback below the range in which Linux picks
// ports for connections and for port 0 (32768 to 60999). There, any connection might
// take the port while nobody listens on it.
func listenBelow() (ln net.Listener, err error) {
	const from, to = 20000, 32000
	for range 100 {
		if ln, err = net.Listen("tcp", loopback(from+mathrand.IntN(to-from))); err == nil {
			return ln, nil
		}
	}
	return nil, err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// obey carries out what the user types, until there is no more input.
func (s *stage) obey(in io.Reader, quit func()) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		word := strings.TrimSpace(lines.Text())
		if word == "q" {
			quit()
			return
		}
		number, crash := strings.CutPrefix(word, "k")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		switch {
		case word == "":
		case err != nil || n < 1 || n > len(s.hosts):
			s.say("Type a number from 1 to %d, k and a number, or q.", len(s.hosts))
		case crash:
			s.hosts[n-1].order(orderCrash)
		default:
			s.hosts[n-1].order(orderToggle)
		}
	}
}
