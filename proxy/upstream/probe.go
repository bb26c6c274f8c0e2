package upstream

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"tokenring/hosttls"
	"tokenring/http1"
	"tokenring/proxy/deadline"
	"tokenring/proxy/proxyheader"
	"tokenring/route"
)

// A Probe sends requests to hosts and reads the answers as the proxy does. It tells which
// answers the proxy would refuse or repair.
type Probe struct {
	Limits  http1.Limits    // of the heads of answers
	Timeout time.Duration   // for one answer, from the connection to its last byte
	Host    string          // the Host field; "" for the host's address
	TLS     *hosttls.Client // nil if hosts speak no TLS

	SendProxy bool // begin with a header of the PROXY protocol, as of a connection of lb's own
}

// A ProbeResult is the result of one request.
type ProbeResult struct {
	Status  int      // of the answer; 0 if its head couldn't be read
	Refused string   // why clients would get 502 or a part of the answer; "" if they would get the answer
	Repairs []string // what was repaired
	Err     error    // why there is no answer or only a part of it; nil if there is an answer
}

// maxProbe is how many bytes of an answer's body are read.
const maxProbe = 1 << 20

// Ask sends a GET request to the host at an address. target is a path, which may have a
// query.
func (p Probe) Ask(ctx context.Context, address, target string) ProbeResult {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	d := dialer{address, p.TLS.Peer(route.Authority(address)), p.SendProxy}
	nc, err := d.connect(ctx, p.Timeout, proxyheader.Ends{})
	if err != nil {
		return ProbeResult{Err: err}
	}
	c := newConn(nc, p.Limits)
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })()
	if _, err := nc.Write(p.request(address, target)); err != nil {
		return ProbeResult{Err: err}
	}
	var r ProbeResult
	r.note(r.read(c))
	r.Repairs = slices.Collect(c.Reader.Repaired().Texts())
	return r
}

// request returns the head of a request. It has a browser's Accept-Encoding, because hosts
// frame compressed answers differently.
func (p Probe) request(address, target string) []byte {
	host := p.Host
	if host == "" {
		host = route.Authority(address)
	}
	b := http1.AppendRequestLine(nil, []byte("GET"), []byte(target))
	b = http1.AppendFieldString(b, "Host", host)
	b = http1.AppendFieldString(b, "User-Agent", "tokenring-check")
	b = http1.AppendFieldString(b, "Accept", "*/*")
	b = http1.AppendFieldString(b, "Accept-Encoding", "gzip, deflate, br")
	return append(b, "\r\n"...)
}

// read reads an answer: interim answers, the final head, and maxProbe bytes of the body at
// most.
func (r *ProbeResult) read(c *Conn) error {
	for c.Response.Status < 200 {
		if err := c.ReadAnswer([]byte("GET")); err != nil {
			return err
		}
		if c.Response.Status == 101 {
			return ErrUnasked
		}
	}
	r.Status = c.Response.Status
	body := c.Reader.Body(c.Response.Framing, c.Response.Length)
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

// note adds err, the result of read, to r. A body that lasts longer than the timeout, such
// as a stream of events, is no fault.
func (r *ProbeResult) note(err error) {
	var bad *http1.Error
	switch {
	case err == nil, deadline.Exceeded(err) && r.Status >= 200:
	case errors.As(err, &bad):
		r.Refused = bad.Reason
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.Err = errors.New("the host's answer was cut short")
	default:
		r.Err = err
	}
}
