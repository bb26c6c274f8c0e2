package health

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"
)

// maxAnswer bounds what a check reads of an answer, head and body, in bytes.
const maxAnswer = 64 << 10

// A result is the outcome of one check.
type result struct {
	err  string // "" when the host passed
	ours bool   // the check failed for a want of ours, and says nothing of the host
}

var errNotHTTP = errors.New("not an HTTP answer")

// check asks t once, within the configured timeout. It owns no goroutine and no
// connection beyond its return.
func (m *Monitor) check(ctx context.Context, t Target) result {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	conn, err := m.dial(ctx, "tcp", t.Address)
	if err != nil {
		return m.explain(err)
	}
	defer conn.Close()
	path := m.cfg.CheckPath()
	if path == "" {
		return result{}
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	status, err := get(conn, path, cmp.Or(m.cfg.Host, t.Host, t.Address))
	if err != nil {
		return m.explain(err)
	}
	if status < 200 || status > 399 {
		return result{err: "status " + strconv.Itoa(status)}
	}
	return result{}
}

// get sends one GET on conn and returns the status of the final response. It
// reads the rest of the answer too, as far as the bound allows, because
// closing on unread data would reset the host's connection; but the status
// alone decides.
func get(conn net.Conn, path, host string) (status int, err error) {
	target, err := url.ParseRequestURI(path)
	if err != nil {
		return 0, err
	}
	req := &http.Request{
		Method: http.MethodGet,
		URL:    target,
		Host:   host,
		Header: http.Header{"User-Agent": {"tokenring-check"}},
		Close:  true,
	}
	if err := req.Write(conn); err != nil {
		return 0, err
	}
	answer := bufio.NewReader(io.LimitReader(conn, maxAnswer))
	resp, err := finalResponse(answer, req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // a body that ends early changes no verdict
	return resp.StatusCode, nil
}

// finalResponse reads past interim responses (RFC 9110 §15.2).
func finalResponse(r *bufio.Reader, req *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			return nil, badAnswer(err)
		}
		if resp.StatusCode < 100 || resp.StatusCode > 199 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
}

// badAnswer keeps errors of the network apart from an answer that can't be
// read: the texts of the latter quote what was received.
func badAnswer(err error) error {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return errNotHTTP
}

// explain puts an error into an operator's words. They are few and constant,
// so they can be compared, counted and shown.
func (m *Monitor) explain(err error) result {
	var network net.Error
	var name *net.DNSError
	switch {
	case isOurs(err):
		return result{err: "out of local sockets or files", ours: true}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return result{err: timeoutText(m.cfg.Timeout)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return result{err: "connection refused"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return result{err: "connection reset"}
	case errors.Is(err, syscall.EHOSTUNREACH):
		return result{err: "no route to host"}
	case errors.Is(err, syscall.ENETUNREACH):
		return result{err: "network is unreachable"}
	case errors.As(err, &name):
		return result{err: "name doesn't resolve"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return result{err: "closed without an answer"}
	case errors.Is(err, errNotHTTP):
		return result{err: "not an HTTP answer"}
	}
	return result{err: "can't be reached"}
}

// isOurs reports whether a check failed because this machine ran short. All
// hosts would fail together then, and none of them would be to blame.
func isOurs(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (m *Monitor) count(r result) {
	if r.err == "" {
		m.ok.Add(1)
	} else {
		m.failed.Add(1)
	}
}
