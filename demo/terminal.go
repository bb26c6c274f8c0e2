package demo

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"tokenring/balancer"
)

const (
	maxTyped  = 64 << 10 // bytes in one message to a terminal
	maxEcho   = 1 << 20  // bytes in one message to be echoed
	beatEvery = 30 * time.Second
	writeTime = 10 * time.Second
	byeTime   = time.Second // for a client to answer a close frame
)

// webSocket serves /environment/websocket. With mode=echo it first sends
// {"host":…} and then each message back as it came. Otherwise it is a terminal:
//
//	client → host  binary: keys · text {"resize":[cols,rows]} · any other text: keys
//	host → client  binary: output · text {"host":…}: the session's earlier output
//	               follows · text {"live":true}: new output follows
//
// It closes with 1000 when the shell has ended, 1001 when the host stops, and
// 1013 when all shells of the host are in use.
func (h *Host) webSocket(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if why := h.origins.refuseSocket(r.Header.Get("Origin"), r.Host, r.RemoteAddr); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	raw := []byte(r.URL.RawQuery)
	token, _ := balancer.QueryValue(raw, "token")
	mode, _ := balancer.QueryValue(raw, "mode")
	if string(mode) != "echo" && (len(mode) > 0 || len(token) == 0) {
		http.Error(w, "a terminal needs a token, and mode is echo or absent", http.StatusBadRequest)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // originCheck has checked it
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow()
	if string(mode) == "echo" {
		h.echo(ctx, conn)
		return
	}
	h.terminal(ctx, conn, string(token))
}

// echo sends messages back until the client leaves or ctx ends.
func (h *Host) echo(ctx context.Context, conn *websocket.Conn) {
	conn.SetReadLimit(maxEcho)
	reading, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		goodbye(conn, cut, nil)
	})
	defer func() {
		if !stop() {
			<-said
		}
	}()
	err := h.introduce(ctx, conn)
	for err == nil {
		var kind websocket.MessageType
		var msg []byte
		if kind, msg, err = conn.Read(reading); err == nil {
			err = write(ctx, conn, kind, msg)
		}
	}
}

// terminal connects conn to the token's session until one of them ends.
func (h *Host) terminal(ctx context.Context, conn *websocket.Conn, token string) {
	conn.SetReadLimit(maxTyped)
	v := newViewer(ctx)
	s, err := h.shells.join(ctx, token, v)
	if err != nil {
		if !errors.Is(err, errFull) {
			h.cfg.Logger.Error().Err(err).Str("host", h.cfg.Name).Msg("no shell")
		}
		_ = conn.Close(websocket.StatusTryAgainLater, "all shells of this host are in use")
		return
	}
	reading, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	typed := make(chan struct{})
	go func() {
		defer close(typed)
		defer v.cancel(nil)
		readKeys(reading, conn, s.program)
	}()
	h.show(conn, v)
	s.leave(v)
	goodbye(conn, cut, context.Cause(v.ctx))
	<-typed
}

// readKeys writes what the user types to the program until the connection ends.
func readKeys(ctx context.Context, conn *websocket.Conn, p program) {
	for {
		kind, msg, err := conn.Read(ctx)
		if err != nil {
			return
		}
		var order struct {
			Resize *[2]uint16 `json:"resize"`
		}
		switch {
		case kind == websocket.MessageBinary || len(msg) == 0 || msg[0] != '{':
			_, _ = p.Write(msg) // a program that has ended ends the session too
		case json.Unmarshal(msg, &order) == nil && order.Resize != nil:
			p.Resize(order.Resize[0], order.Resize[1])
		}
	}
}

// show writes the session's output to conn until v's context ends, and then the output
// that is still queued.
func (h *Host) show(conn *websocket.Conn, v *viewer) {
	if h.introduce(v.ctx, conn) != nil ||
		write(v.ctx, conn, websocket.MessageBinary, v.replay) != nil ||
		write(v.ctx, conn, websocket.MessageText, []byte(`{"live":true}`)) != nil {
		return
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	var err error
	for err == nil {
		select {
		case b := <-v.out:
			err = write(v.ctx, conn, websocket.MessageBinary, b)
		case <-beat.C:
			err = ping(v.ctx, conn)
		case <-v.ctx.Done():
			flush(conn, v)
			return
		}
	}
}

func flush(conn *websocket.Conn, v *viewer) {
	for {
		select {
		case b := <-v.out:
			if write(v.ctx, conn, websocket.MessageBinary, b) != nil {
				return
			}
		default:
			return
		}
	}
}

// introduce tells the client which host it has reached.
func (h *Host) introduce(ctx context.Context, conn *websocket.Conn) error {
	msg, err := json.Marshal(map[string]string{"host": h.cfg.Name})
	if err != nil {
		return err
	}
	return write(ctx, conn, websocket.MessageText, msg)
}

// write sends one message. The end of ctx doesn't interrupt it, because no close frame can
// follow an interrupted message.
func write(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, msg []byte) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer done()
	return conn.Write(ctx, kind, msg)
}

func ping(ctx context.Context, conn *websocket.Conn) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer done()
	return conn.Ping(ctx)
}

// goodbye closes conn with a close frame. If the client doesn't answer within a second, it
// calls cut, which must end the context of the connection's reader.
func goodbye(conn *websocket.Conn, cut context.CancelFunc, cause error) {
	late := time.AfterFunc(byeTime, cut)
	defer late.Stop()
	_ = conn.Close(closing(cause)) // fails only when the client has gone
}

// closing returns the status and the reason of the close frame for a cause.
func closing(cause error) (websocket.StatusCode, string) {
	switch {
	case errors.Is(cause, errShellEnded):
		return websocket.StatusNormalClosure, "the shell has ended"
	case errors.Is(cause, errSlow):
		return websocket.StatusPolicyViolation, "too slow to read"
	default:
		return websocket.StatusGoingAway, "this host stops"
	}
}
