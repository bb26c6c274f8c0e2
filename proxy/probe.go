package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"tokenring/http1"
)

// A Probe asks hosts for answers before clients do, and reads them as a Proxy
// reads them: it says which of them a Proxy would refuse or set right.
type Probe struct {
	Limits  ResponseLimits
	Timeout time.Duration // for one answer, from the connection to its last byte
	Host    string        // the Host field; "" for the host's address
}

// A ProbeResult is what has become of one question.
type ProbeResult struct {
	Status  int      // of the answer; 0 if its head couldn't be read
	Refused string   // why clients would get 502, or a part of the answer; "" if they wouldn't
	Repairs []string // what was set right
	Err     error    // why there is no answer, or not all of it; nil if there is
}

// maxProbe is how many bytes of an answer's body are read.
const maxProbe = 1 << 20

// Ask asks the host at address for target, a path with perhaps a query, as a
// client that connects to the Proxy with GET would.
func (p Probe) Ask(ctx context.Context, address, target string) ProbeResult {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return ProbeResult{Err: err}
	}
	l := newLink(nc, p.Limits.Heads())
	defer l.close()
	defer context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })()
	if _, err := nc.Write(p.request(address, target)); err != nil {
		return ProbeResult{Err: err}
	}
	var r ProbeResult
	r.note(r.read(l))
	r.Repairs = slices.Collect(l.in.Repaired().Texts())
	return r
}

// request returns the head of a question. A browser's Accept-Encoding is in it,
// because hosts frame what they compress in another way.
func (p Probe) request(address, target string) []byte {
	host := p.Host
	if host == "" {
		host = address
	}
	b := http1.AppendRequestLine(nil, []byte("GET"), []byte(target))
	b = http1.AppendFieldString(b, "Host", host)
	b = http1.AppendFieldString(b, "User-Agent", "tokenring-check")
	b = http1.AppendFieldString(b, "Accept", "*/*")
	b = http1.AppendFieldString(b, "Accept-Encoding", "gzip, deflate, br")
	return append(b, "\r\n"...)
}

// read reads an answer, interim ones before it and as much of its body as is looked
// at.
func (r *ProbeResult) read(l *link) error {
	for l.resp.Status < 200 {
		if err := l.answer([]byte("GET")); err != nil {
			return err
		}
		if l.resp.Status == 101 {
			return errUnasked
		}
	}
	r.Status = l.resp.Status
	body := l.in.Body(l.resp.Framing, l.resp.Length)
	for n := 0; n < maxProbe; {
		data, err := body.Next()
		n += len(data)
		if body.Done() {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// note takes note of how reading has ended. A body that goes on for longer than the
// timeout, as a stream of events does, is no fault.
func (r *ProbeResult) note(err error) {
	var bad *http1.Error
	switch {
	case err == nil, timedOut(err) && r.Status >= 200:
	case errors.As(err, &bad):
		r.Refused = bad.Reason
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.Err = errors.New("the host's answer was cut short")
	default:
		r.Err = err
	}
}
