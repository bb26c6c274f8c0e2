package parent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/handover"
)

// After an upgrade the parent executes the new program in its own place: the process and its
// children stay. What it holds goes along as open files, and a takeover says which is which.

// variable is the environment variable with the number of the file that holds the takeover.
const variable = "LB_TAKEOVER"

// A Takeover is what a parent leaves to the program that it executes in its own place. Files
// are named by their numbers.
type Takeover struct {
	Format      int                  `json:"format"`
	Sockets     []heldSocket         `json:"sockets"`
	Generations []heldGeneration     `json:"generations"`
	Control     int                  `json:"control"`
	Binary      heldBinary           `json:"binary"`
	Socket      string               `json:"socket"` // the path of the control socket
	Config      []byte               `json:"config"` // the text of the configuration in force
	Bounds      handover.Generations `json:"bounds"`
	Grace       time.Duration        `json:"grace"`
	IDs         int                  `json:"ids"` // of the last generation
	counted
}

// format is the version of a takeover. A program that finds another one refuses it.
const format = 1

type heldSocket struct {
	handover.Socket
	Files []int `json:"files"`
}

type heldGeneration struct {
	ID      int               `json:"id"`
	PID     int               `json:"pid"`
	Conn    int               `json:"conn"`
	Serving bool              `json:"serving"`
	Closing bool              `json:"closing"`
	Started time.Time         `json:"started"`
	Retired time.Time         `json:"retired"`
	Asked   []handover.Socket `json:"asked"`
	Info    *handover.Started `json:"info"`
}

type heldBinary struct {
	Name string `json:"name"`
	File int    `json:"file"`
}

// CheckTakeover returns why this program can't take over from a parent whose takeover has
// the text in r; nil if it can.
func CheckTakeover(r io.Reader) error {
	var t Takeover
	if err := json.NewDecoder(r).Decode(&t); err != nil {
		return fmt.Errorf("takeover: %w", err)
	}
	if t.Format != format {
		return fmt.Errorf("takeover: this program knows format %d, and the parent has format %d", format, t.Format)
	}
	return nil
}

// replaceSelf executes the program of the generation that serves in place of this one. It
// returns only if that fails; then everything is as before.
func (p *Parent) replaceSelf(ctx context.Context) error {
	text, err := json.Marshal(Takeover{Format: format})
	if err != nil {
		return err
	}
	if _, err := p.binary.run(ctx, string(text), "takeover"); err != nil {
		return err
	}
	p.pause() // no message may be half read when the program changes
	p.closings.Wait()
	t, files, err := p.inventory()
	defer func() {
		for _, fd := range files {
			_ = unix.Close(fd)
		}
	}()
	if err == nil {
		err = p.execute(t, &files)
	}
	p.resume()
	return err
}

// execute executes the program. It returns only with an error.
func (p *Parent) execute(t Takeover, files *[]int) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("takeover", 0) // stays open in the new program
	if err != nil {
		return fmt.Errorf("takeover: %w", err)
	}
	*files = append(*files, fd)
	memory := os.NewFile(uintptr(fd), "takeover")
	if _, err := memory.WriteAt(text, 0); err != nil {
		return fmt.Errorf("takeover: %w", err)
	}
	env := append(os.Environ(), variable+"="+strconv.Itoa(fd))
	if p.signals.stopping.Load() {
		return errStopping
	}
	// Until the next program handles them, these would end it.
	signal.Ignore(unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Notify(p.Signals, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2)
	err = unix.Exec(path(p.binary.file.Fd()), os.Args, env)
	return fmt.Errorf("execute %s: %w", p.binary.name, err)
}

// inventory returns what goes along, and the descriptors that are open for it. The caller
// closes these if the program stays.
func (p *Parent) inventory() (t Takeover, files []int, err error) {
	keep := func(f *os.File) int {
		fd, dupErr := handover.Inheritable(f)
		if dupErr != nil {
			err = errors.Join(err, fmt.Errorf("takeover: %w", dupErr))
			return -1
		}
		files = append(files, fd)
		return fd
	}
	keepSocket := func(s interface{ File() (*os.File, error) }) int {
		f, fileErr := s.File()
		if fileErr != nil {
			err = errors.Join(err, fileErr)
			return -1
		}
		defer f.Close()
		return keep(f)
	}
	t = Takeover{Format: format, Socket: p.Socket, Config: p.config, Bounds: p.bounds, Grace: p.grace, IDs: p.ids, counted: p.keptCounts()}
	t.Binary = heldBinary{p.binary.name, keep(p.binary.file)}
	t.Control = keep(p.control.socket)
	p.sockets.each(func(name handover.Socket, all []*os.File) {
		held := heldSocket{Socket: name}
		for _, f := range all {
			held.Files = append(held.Files, keep(f))
		}
		t.Sockets = append(t.Sockets, held)
	})
	for _, g := range p.generations() {
		t.Generations = append(t.Generations, heldGeneration{
			ID: g.id, PID: g.pid, Conn: keepSocket(g.conn), Serving: g == p.serving, Closing: g.closing.Load(),
			Started: g.started, Retired: g.retired, Asked: p.sockets.askedBy(g), Info: g.info.Load(),
		})
	}
	return t, files, err
}

// pause stops reading what generations say, and answering on the control socket. Answers
// under way are finished.
func (p *Parent) pause() {
	for _, g := range p.generations() {
		g.pause()
	}
	p.control.pause()
}

// resume ends a pause.
func (p *Parent) resume() {
	for _, g := range p.generations() {
		p.listen(g)
	}
	if err := p.serveControl(p.control.socket); err != nil {
		p.Logger.Error().Err(err).Msg("nobody can steer the parent any more")
	}
}

// TakenOver returns what the program that executed this one in its own place has left; nil if
// none did.
func TakenOver() (*Takeover, error) {
	value, ok := os.LookupEnv(variable)
	if !ok {
		return nil, nil
	}
	_ = os.Unsetenv(variable)
	fd, err := strconv.Atoi(value)
	if err != nil {
		return nil, fmt.Errorf("takeover: %s is %q", variable, value)
	}
	f := os.NewFile(uintptr(fd), "takeover")
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("takeover: %w", err)
	}
	t := new(Takeover)
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fmt.Errorf("takeover: %w", err)
	}
	return t, nil
}

// takeOver goes on with what the program before has left.
func (p *Parent) takeOver(t *Takeover) error {
	p.binary = &binary{name: t.Binary.Name, file: held(t.Binary.File)}
	p.Program, p.Socket = t.Binary.Name, t.Socket
	p.config, p.bounds, p.grace, p.ids, p.counts = t.Config, t.Bounds, t.Grace, t.IDs, t.counted
	for _, s := range t.Sockets {
		var files []*os.File
		for _, fd := range s.Files {
			files = append(files, held(fd))
		}
		p.sockets.files[s.Socket] = files
	}
	for _, h := range t.Generations {
		if err := p.takeOverGeneration(h); err != nil {
			return err
		}
	}
	if err := p.serveControl(held(t.Control)); err != nil {
		return err
	}
	p.Logger.Info().Str("program", p.binary.name).Int("generations", len(t.Generations)).Msg("the parent runs another program now")
	return nil
}

func (p *Parent) takeOverGeneration(h heldGeneration) error {
	conn, err := handover.New(held(h.Conn))
	if err != nil {
		return err
	}
	process, err := os.FindProcess(h.PID)
	if err != nil {
		return fmt.Errorf("generation %d: %w", h.ID, err)
	}
	g := newGeneration(h.ID, process, conn)
	g.started, g.retired = h.Started, h.Retired
	g.closing.Store(h.Closing)
	if h.Info != nil {
		g.info.Store(h.Info)
	}
	for _, s := range h.Asked {
		g.files[s] = true
	}
	p.watch(g, nil)
	if h.Serving {
		p.setServing(g)
	}
	return nil
}

// held returns a file that the program before has left open, for this process alone.
func held(fd int) *os.File {
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "taken over")
}
