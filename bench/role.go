package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// roles are what this program does in processes of its own, so that the load,
// the hosts and the clock that times the echoes don't share a Go runtime. Each
// runs until its input ends.
var roles = map[string]func(ctx context.Context, t target, in *json.Decoder, out *json.Encoder) error{
	"hosts":     playHosts,
	"visits":    playVisits,
	"terminals": playTerminals,
	"wave":      playWave,
}

// play runs a role: the arguments are its name and the target as JSON.
func play(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var t target
	if len(args) != 2 || json.Unmarshal([]byte(args[1]), &t) != nil {
		return fmt.Errorf("role %v: want a name and a target", args)
	}
	return roles[args[0]](ctx, t, json.NewDecoder(in), json.NewEncoder(out))
}

// An order is what a role is told to do next; see the roles for the verbs.
type order struct {
	Do    string
	Count int
	Rate  int // per second; 0 means all at once
	Every time.Duration
}

// An outturn is a role's answer to one order.
type outturn struct {
	Count, Failures uint64
	Fault           string // the first failure
	Hosts           []host
	Took            time.Duration // of opening
	P50, P99, Max   time.Duration // of the echoes
}

// A player is a role in a process of its own. One goroutine at a time uses it.
type player struct {
	role   string
	cmd    *exec.Cmd
	cancel context.CancelFunc
	in     io.WriteCloser
	enc    *json.Encoder
	dec    *json.Decoder
}

// cast starts a role, which ends with ctx at the latest. Its end must be called.
func cast(ctx context.Context, role string, t target) (*player, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	to, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, self, role, string(to))
	cmd.Stderr = os.Stderr
	gently(cmd)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return &player{role: role, cmd: cmd, cancel: cancel, in: in, enc: json.NewEncoder(in), dec: json.NewDecoder(out)}, nil
}

// call gives an order and waits for its outturn.
func (p *player) call(o order) (outturn, error) {
	if err := p.enc.Encode(o); err != nil {
		return outturn{}, fmt.Errorf("%s: order %s: %w", p.role, o.Do, err)
	}
	return p.hear()
}

func (p *player) hear() (outturn, error) {
	var got outturn
	if err := p.dec.Decode(&got); err != nil {
		return got, fmt.Errorf("%s: no answer: %w", p.role, err)
	}
	return got, nil
}

// finish ends the role's input and returns what it says last.
func (p *player) finish() (outturn, error) {
	p.in.Close()
	return p.hear()
}

// end ends the process and waits for that.
func (p *player) end() {
	p.in.Close()
	p.cancel()
	_ = p.cmd.Wait() // its result doesn't matter any more
}

// inputEnds returns a context that ends with the input. What the input holds is
// thrown away.
func inputEnds(ctx context.Context, in *json.Decoder) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		var o order
		for in.Decode(&o) == nil {
		}
	}()
	return ctx
}

// playHosts serves three hosts, and says first where they are.
func playHosts(ctx context.Context, _ target, in *json.Decoder, out *json.Encoder) error {
	h, err := listen(hostCount)
	if err != nil {
		return err
	}
	if err := out.Encode(outturn{Hosts: h.list()}); err != nil {
		h.close()
		return err
	}
	return h.serve(inputEnds(ctx, in))
}

const hostCount = 3
