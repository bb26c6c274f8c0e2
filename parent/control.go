package parent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"tokenring/handover"
	"tokenring/problem"
)

// A control answers requests on the control socket: those of the admin endpoint that are
// about generations, for whoever may open the socket. It answers also while no generation
// serves.
type control struct {
	path    string
	socket  *os.File // stays open when the server is paused
	server  *http.Server
	running sync.WaitGroup
}

// unused returns an error if another balancer answers on the control socket.
func unused(path string) error {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil
	}
	conn.Close()
	return fmt.Errorf("control socket: another balancer runs with this state_dir: it answers on %s", path)
}

// openControl opens the control socket.
func openControl(path string) (*os.File, error) {
	if err := unused(path); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	defer ln.Close()
	ln.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return ln.File()
}

// serveControl answers on the control socket, which it takes over.
func (p *Parent) serveControl(socket *os.File) error {
	ln, err := net.FileListener(socket)
	if err != nil {
		socket.Close()
		return fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/reload", p.handleChange(false))
	mux.HandleFunc("POST /v1/upgrade", p.handleChange(true))
	mux.HandleFunc("GET /v1/generations", func(w http.ResponseWriter, r *http.Request) {
		write(w, http.StatusOK, map[string]any{"generations": p.Generations(r.Context())})
	})
	c := &control{path: p.Socket, socket: socket, server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}}
	c.running.Go(func() { _ = c.server.Serve(ln) }) // it returns when close closes ln
	p.control = c
	return nil
}

// close ends the server at once, removes the socket, and waits.
func (c *control) close() {
	_ = c.server.Close()
	c.running.Wait()
	c.socket.Close()
	_ = os.Remove(c.path)
}

// pause stops answering, after the answers under way, and leaves the socket open.
func (c *control) pause() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.server.Shutdown(ctx) // after a second without those that are left
	c.running.Wait()
}

// handleChange answers a request for a change.
func (p *Parent) handleChange(upgrade bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var c handover.Change
		if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			problem.Write(w, http.StatusBadRequest, "the body isn't the JSON of a change: "+err.Error())
			return
		}
		c.Upgrade = upgrade
		result, err := p.Change(c)
		if err == nil {
			write(w, http.StatusOK, result)
			return
		}
		problem.Write(w, statusOf(err), err.Error())
	}
}

// statusOf returns the status by which an answer tells why a change wasn't made.
func statusOf(err error) int {
	var f *handover.Failure
	if !errors.As(err, &f) {
		return http.StatusInternalServerError
	}
	return f.HTTPStatus()
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
