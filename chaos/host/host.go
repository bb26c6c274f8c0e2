// Package host is an IDE host for the chaos run: it echoes in terminals, answers requests, and
// records which token it serves.
package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"tokenring/chaos/record"
)

// The paths that a host serves. In a terminal it answers each message with the message, a
// space and its name. A request takes as many milliseconds as its parameter ms says, and is
// answered with the host's name.
const (
	TerminalPath = "/terminal"
	RequestPath  = "/request"
	HealthPath   = "/healthz"
)

// A Config says what a host is.
type Config struct {
	Name    string
	Address string // IP:PORT
	Record  string // the file that it writes its record to
}

// listener has the kernel ask quiet connections whether they are still there. A balancer resets a
// connection whose token has moved, and a reset that is lost isn't sent again.
var listener = net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 4}}

// Run serves until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	file, err := os.OpenFile(cfg.Record, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	ln, err := listener.Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return err
	}
	h := &host{name: cfg.Name, record: record.NewWriter(file)}
	mux := http.NewServeMux()
	mux.HandleFunc(HealthPath, func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc(TerminalPath, h.terminal)
	mux.HandleFunc(RequestPath, h.request)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type host struct {
	name   string
	record *record.Writer
}

// terminal serves a terminal until its connection ends.
func (h *host) terminal(w http.ResponseWriter, r *http.Request) {
	end, err := h.record.Begin(token(r), true)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer end()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	for {
		kind, text, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		if err := ws.Write(r.Context(), kind, fmt.Appendf(text, " %s", h.name)); err != nil {
			return
		}
	}
}

// request answers a request after a while, unless its client leaves.
func (h *host) request(w http.ResponseWriter, r *http.Request) {
	end, err := h.record.Begin(token(r), false)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer end()
	ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		fmt.Fprint(w, h.name)
	case <-r.Context().Done():
	}
}

// token returns the token of a request, "" if it has none.
func token(r *http.Request) string {
	for part := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if value, ok := strings.CutPrefix(part, "token="); ok {
			return value
		}
	}
	return ""
}
