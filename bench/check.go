package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"time"
)

// A probe makes sure that a proxy is ready and does the whole job, before it is
// measured: a figure for less work would be worth nothing.
type probe struct {
	j      job
	client *http.Client
}

func newProbe(j job) (*probe, error) {
	cert, err := os.ReadFile(filepath.Join(j.Dir, "edge.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, CurvePreferences: []tls.CurveID{tls.X25519}}, DisableCompression: true}
	return &probe{j: j, client: &http.Client{Transport: transport, Timeout: 2 * time.Second}}, nil
}

// ready waits until the proxy answers from a host.
func (p *probe) ready(ctx context.Context, running *process) error {
	const patience, step = 15 * time.Second, 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		_, err := p.ask(ctx, "ready")
		if err == nil {
			return nil
		}
		s, statErr := readStat(running.pid())
		if statErr != nil || s.ended || pause(ctx, step) != nil {
			return fmt.Errorf("not ready: %w; it said: %s", err, running.said())
		}
	}
}

// sameJob tells what is missing from the job.
func (p *probe) sameJob(ctx context.Context) error {
	const tokens = 64
	seen := map[string]bool{}
	for i := range tokens {
		token := fmt.Sprintf("%x-probe-%d", i*7919, i)
		first, err := p.ask(ctx, token)
		if err != nil {
			return err
		}
		again, err := p.ask(ctx, token)
		if err != nil {
			return err
		}
		if first.host != again.host {
			return fmt.Errorf("one token went to %s, then to %s", first.host, again.host)
		}
		if !again.reused {
			return fmt.Errorf("the client's connection isn't kept alive")
		}
		seen[first.host] = true
	}
	if len(seen) != len(p.j.Hosts) {
		return fmt.Errorf("%d tokens went to %d of %d hosts", tokens, len(seen), len(p.j.Hosts))
	}
	return nil
}

// An echo is what became of one request.
type echo struct {
	host   string
	reused bool // the connection had carried another request before
}

// ask sends one request and looks at what the host got of it.
func (p *probe) ask(ctx context.Context, token string) (echo, error) {
	var e echo
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { e.reused = info.Reused },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.j.url("/echo?token="+token), nil)
	if err != nil {
		return e, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return e, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return e, err
	}
	if resp.StatusCode != http.StatusOK {
		return e, fmt.Errorf("answer %s", resp.Status)
	}
	if err := agreed(p.j.TLS, resp.TLS); err != nil {
		return e, err
	}
	name, head, _ := bytes.Cut(body, []byte("\n"))
	e.host = string(name)
	return e, forwarded(head)
}

// agreed tells whether the TLS that was negotiated is that of the job. The
// cipher and the key exchange are the same for all, because the cost of a byte
// and of a connection depends on them.
func agreed(want bool, state *tls.ConnectionState) error {
	switch {
	case !want || state == nil:
		if want != (state != nil) {
			return fmt.Errorf("TLS %t, want %t", state != nil, want)
		}
	case state.Version != tls.VersionTLS13 || state.CipherSuite != tls.TLS_AES_128_GCM_SHA256:
		return fmt.Errorf("%s with %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite))
	case state.CurveID != tls.X25519:
		return fmt.Errorf("key exchange %v, want X25519", state.CurveID)
	}
	return nil
}

// forwarded tells whether the head that the host got is what it should be.
func forwarded(head []byte) error {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	switch {
	case err != nil:
		return err
	case req.Header.Get("X-Forwarded-For") != "127.0.0.1":
		return fmt.Errorf("X-Forwarded-For %q", req.Header.Get("X-Forwarded-For"))
	case req.ProtoMinor != 1 || req.Close:
		return fmt.Errorf("the host isn't asked to keep its connection: %s", req.Proto)
	}
	return nil
}

func (p *probe) close() { p.client.CloseIdleConnections() }
