package parent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/handover"
)

// TestMain runs the tests; or, in a process that they have started, a parent or a
// generation. The generation reads from the file in its last argument how to behave.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "takeover":
		if err := CheckTakeover(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case len(os.Args) > 2 && os.Args[1] == "generation":
		if err := runFake(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	case len(os.Args) > 2 && os.Args[1] == "parent":
		os.Exit(runParent(os.Args[2], os.Args[3]))
	case len(os.Args) > 1 && (os.Args[1] == "version" || os.Args[1] == "check"):
		fmt.Println(os.Args[0])
	default:
		_ = flag.Set("test.parallel", "8") // the default: tests wait for processes, not for a processor
		raceExitsAtOnce()
		os.Exit(m.Run())
	}
}

// raceExitsAtOnce keeps processes that the tests start from waiting a second at their end,
// as each program does that the race detector is built into.
func raceExitsAtOnce() {
	if options := os.Getenv("GORACE"); !strings.Contains(options, "atexit_sleep_ms") {
		_ = os.Setenv("GORACE", options+" atexit_sleep_ms=10")
	}
}

// runParent runs a parent whose generations read file.
func runParent(file, socket string) int {
	log := zerolog.New(os.Stderr)
	left, err := TakenOver()
	if err != nil {
		log.Error().Err(err).Msg("no takeover")
		return 1
	}
	if does, err := (&fake{file: file}).read(nil); err == nil && left != nil && does.Hangup {
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGHUP, syscall.SIGUSR2)
	program, err := os.Executable()
	if err != nil {
		log.Error().Err(err).Msg("no program")
		return 1
	}
	p, err := New(Options{
		Program: program, Arguments: []string{"generation", file}, Check: []string{"check"}, Socket: socket,
		Ready: 5 * time.Second, Logger: log, Output: os.Stdout, Errors: os.Stderr, Signals: signals, Left: left,
	})
	if err != nil {
		log.Error().Err(err).Msg("no parent")
		return 1
	}
	var exit ExitError
	p.limits = limits{link: 500 * time.Millisecond, retire: 500 * time.Millisecond, close: 500 * time.Millisecond}
	switch err := p.Run(context.Background()); {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	default:
		log.Error().Err(err).Msg("failed")
		return 1
	}
}

// behaviour is what the file says of a generation.
type behaviour struct {
	Listen    string        `json:"listen"`
	Fails     string        `json:"fails"`  // "start", "panic", "hang", "ready", "serve": where it fails; "soon": after it has served a little
	Refuse    string        `json:"refuse"` // what a plan says, unless the change has Yes
	Ready     time.Duration `json:"ready"`
	Max       int           `json:"max"`
	Stops     string        `json:"stops"`    // at what the process stops, as by SIGSTOP
	Stumbles  string        `json:"stumbles"` // it fails at start if there is a file with this name, which it removes
	Hangup    bool          `json:"hangup"`   // the parent gets SIGHUP when another program has just taken it over
	Probation time.Duration `json:"probation"`
}

// A fake is a generation that echoes lines with its number before them.
type fake struct {
	parent  *handover.Conn
	file    string
	id      int
	does    behaviour
	ln      net.Listener
	conns   sync.WaitGroup
	retired chan struct{}
	once    sync.Once
}

func runFake(file string) error {
	parent, err := handover.New(os.NewFile(3, "parent"))
	if err != nil {
		return err
	}
	f := &fake{parent: parent, file: file, retired: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		_ = parent.Run(ctx, f.handle)
		f.retire() // the parent has gone
	})
	<-f.retired
	f.conns.Wait()
	cancel()
	running.Wait()
	return nil
}

func (f *fake) retire() {
	f.once.Do(func() {
		if f.ln != nil {
			f.ln.Close()
		}
		close(f.retired)
	})
}

func (f *fake) handle(ctx context.Context, m handover.Message) (handover.Reply, error) {
	if m.Kind == f.does.Stops {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		<-ctx.Done() // other threads run a moment longer
	}
	switch m.Kind {
	case handover.KindStart:
		var s handover.Start
		if err := m.Decode(&s); err != nil {
			return handover.Reply{}, err
		}
		return f.start(ctx, s)
	case handover.KindServe:
		return handover.Reply{}, f.serve()
	case handover.KindPrepare:
		f.awaitFailure(ctx)
	case handover.KindRetire, handover.KindStop:
		fmt.Fprintf(os.Stderr, "generation %d gets %s\n", f.id, m.Kind)
		f.retire()
	case handover.KindEnd:
		os.Exit(0)
	case handover.KindPlan:
		var c handover.Change
		if err := m.Decode(&c); err != nil {
			return handover.Reply{}, err
		}
		plan := handover.Plan{Changes: []string{"something"}}
		if next, err := f.read(nil); err == nil && next.Refuse != "" && !c.Yes {
			plan.Failure = &handover.Failure{Code: handover.FailedConfirm, Detail: next.Refuse}
		}
		return handover.Reply{Body: plan}, nil
	}
	return handover.Reply{}, nil
}

// awaitFailure waits until the next generation has ended, if it is one that fails when it
// could serve: on a busy machine its end might come after the moment that the test is about.
func (f *fake) awaitFailure(ctx context.Context) {
	next, err := f.read(nil)
	if err != nil || next.Fails != "ready" {
		return
	}
	text, err := os.ReadFile(f.file + ".pid")
	if err != nil {
		return
	}
	pid, err := strconv.Atoi(string(text))
	for err == nil && ctx.Err() == nil && syscall.Kill(pid, 0) == nil {
		time.Sleep(time.Millisecond)
	}
}

// read reads how to behave.
func (f *fake) read(text []byte) (b behaviour, err error) {
	if text == nil {
		if text, err = os.ReadFile(f.file); err != nil {
			return b, err
		}
	}
	return b, json.Unmarshal(text, &b)
}

func (f *fake) start(ctx context.Context, s handover.Start) (handover.Reply, error) {
	text := s.Config
	if text == nil {
		var err error
		if text, err = os.ReadFile(f.file); err != nil {
			return handover.Reply{}, err
		}
	}
	var err error
	if f.does, err = f.read(text); err != nil {
		return handover.Reply{}, err
	}
	f.id = s.ID
	fmt.Fprintf(os.Stderr, "generation %d gets what %d knows\n", s.ID, s.Serving)
	if f.does.Stumbles != "" && os.Remove(f.does.Stumbles) == nil {
		return handover.Reply{}, errors.New("it has stumbled")
	}
	switch f.does.Fails {
	case "start":
		return handover.Reply{}, errors.New("the configuration is wrong")
	case "panic":
		go panic("a bug")
		<-ctx.Done()
	case "hang":
		fmt.Fprintln(os.Stderr, "it waits for something")
		<-ctx.Done()
	}
	if f.ln, err = handover.NewAsker(ctx, f.parent).Listen(f.does.Listen); err != nil {
		return handover.Reply{}, err
	}
	if f.does.Fails == "ready" {
		if err := os.WriteFile(f.file+".pid", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return handover.Reply{}, err
		}
		time.AfterFunc(20*time.Millisecond, func() { os.Exit(7) })
	}
	return handover.Reply{Body: handover.Started{
		Version: os.Args[0], Config: text, Generations: handover.Generations{Ready: f.does.Ready, Max: f.does.Max, Rate: 1, Probation: f.does.Probation},
	}}, nil
}

func (f *fake) serve() error {
	switch f.does.Fails {
	case "serve":
		os.Exit(4)
	case "soon":
		time.AfterFunc(100*time.Millisecond, func() { os.Exit(5) })
	}
	f.conns.Go(func() {
		for {
			c, err := f.ln.Accept()
			if err != nil {
				return
			}
			f.conns.Go(func() { f.echo(c) })
		}
	})
	return nil
}

// echo answers each line with the number of the generation and the line. "crash" ends the
// process, and "kill N" wants generation N to be ended before the line is answered.
func (f *fake) echo(c net.Conn) {
	defer c.Close()
	for lines := bufio.NewScanner(c); lines.Scan(); {
		if lines.Text() == "crash" {
			os.Exit(6)
		}
		text := lines.Text()
		var k handover.Kill
		if _, err := fmt.Sscanf(text, "kill %d", &k.ID); err == nil {
			if _, err := f.parent.Call(context.Background(), handover.KindKill, k, nil); err != nil {
				text = err.Error()
			}
		}
		fmt.Fprintf(c, "%d %s\n", f.id, text)
	}
}

// A client is a connection to a fake.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

// generation returns the number of the generation that serves the client.
func (c *client) generation() string {
	c.t.Helper()
	number, text := c.ask("hello")
	if text != "hello" {
		c.t.Fatalf("got %q", text)
	}
	return number
}

// ask sends a line, and returns the number of the generation and its answer.
func (c *client) ask(line string) (generation, answer string) {
	c.t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := fmt.Fprintln(c.conn, line); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	generation, answer, _ = strings.Cut(strings.TrimSpace(line), " ")
	return generation, answer
}

// expectEnd waits until the connection has been cut.
func (c *client) expectEnd() {
	c.t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	if line, err := c.in.ReadString('\n'); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("it goes on: %q, %v", line, err)
	}
}

// crash ends the generation that serves the client, and waits for that.
func (c *client) crash() {
	c.t.Helper()
	fmt.Fprintln(c.conn, "crash")
	c.expectEnd()
}
