package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

func TestForecastsWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newForecaster()
		end, err := p.wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waits := true
		go func() {
			done, err := p.ask(t.Context())
			if err != nil {
				t.Error(err)
			}
			waits = false
			done()
		}()
		time.Sleep(forecastWait - time.Second)
		if !waits {
			t.Fatal("it is the turn of two at once")
		}
		end()
		synctest.Wait()
		if waits || len(p.turn) != 0 || len(p.questions) != 0 {
			t.Errorf("waits %t, %d and %d have their turn", waits, len(p.turn), len(p.questions))
		}
	})
}

func TestNoRequestWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newForecaster()
		p.turn <- struct{}{}
		began := time.Now()
		if _, err := p.wait(t.Context()); !errors.Is(err, errBusy) || time.Since(began) != forecastWait {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := p.ask(gone); !errors.Is(err, errBusy) || len(p.questions) != 0 {
			t.Errorf("whose client has gone: got %v, and %d ask still", err, len(p.questions))
		}
		r := newRegion()
		s := newServer(t, r, io.Discard)
		s.forecaster.turn <- struct{}{}
		if got := decode[fault](t, ask(s, "POST", "/v1/whatif", `{"leave":["ide-1"]}`), 503); !strings.Contains(got.Detail, "try again") {
			t.Errorf("got %+v", got)
		}
		got := decode[fault](t, ask(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain","max_moved":0.1}`), 503)
		if !strings.Contains(got.Detail, "nothing was changed") || !strings.Contains(got.Detail, "without max_moved") || r.override.Load() != nil {
			t.Errorf("got %+v, override %v", got, r.override.Load())
		}
	})
}

// TestTooManyQuestionsAreRefused: an override waits only for the few questions before it.
func TestTooManyQuestionsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		end, err := s.forecaster.wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		codes := make(chan int, 3*maxQuestions)
		for range cap(codes) {
			go func() { codes <- ask(s, "POST", "/v1/whatif", `{"leave":["ide-1"]}`).Code }()
		}
		synctest.Wait()
		if len(codes) != 2*maxQuestions {
			t.Errorf("%d of %d questions were turned away at once, want all but %d", len(codes), cap(codes), maxQuestions)
		}
		answered := make(chan int)
		go func() { answered <- ask(s, "PATCH", "/v1/hosts/ide-1", `{"state":"drain","max_moved":0.9}`).Code }()
		synctest.Wait()
		end()
		if code := <-answered; code != http.StatusOK {
			t.Errorf("the override: got %d", code)
		}
		count := map[int]int{}
		for range cap(codes) {
			count[<-codes]++
		}
		if count[http.StatusOK] != maxQuestions || count[http.StatusServiceUnavailable] != 2*maxQuestions {
			t.Errorf("got %v", count)
		}
	})
}

func TestForecastsUseThePolicysOwnParameters(t *testing.T) {
	hash := balancer.Config{Policy: balancer.PolicyKetama, Maglev: balancer.MaglevConfig{Slots: 503}}
	p := newForecaster()
	hosts := []balancer.Host{{Name: "a", Weight: 1}}
	for policy, want := range map[string]int{"": 160, balancer.PolicyKetama: 160, balancer.PolicyMaglev: 503} {
		table, err := p.build(hash, policy, hosts)
		if err != nil {
			t.Fatal(err)
		}
		if table.Slots() != want {
			t.Errorf("%q: got %d slots, want %d", policy, table.Slots(), want)
		}
	}
}

// A slowRegion takes its time for an override, as a pool does that has to build
// the table of many hosts.
type slowRegion struct {
	*fakeRegion
	takes time.Duration
}

func (r slowRegion) Override(ctx context.Context, d route.Override) error {
	select {
	case <-time.After(r.takes):
		return r.fakeRegion.Override(ctx, d)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A memory is a listener whose connections are pipes.
type memory struct{ conns chan net.Conn }

func (m memory) Accept() (net.Conn, error) {
	if c, ok := <-m.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (m memory) Close() error   { close(m.conns); return nil }
func (m memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// TestAnAnswerMayTakeLong: the deadlines of other calls don't end it, neither that
// for reading a body nor that for writing an answer.
func TestAnAnswerMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := memory{make(chan net.Conn)}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error)
		s := newServer(t, slowRegion{newRegion(), longAnswer - time.Second}, io.Discard)
		go func() { served <- s.Serve(ctx, ln) }()
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			ln.conns <- theirs
			return ours, nil
		}}
		req, err := http.NewRequestWithContext(ctx, "PATCH", "http://127.0.0.1/v1/hosts/ide-1", strings.NewReader(`{"state":"drain"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+adminToken)
		req.Header.Set("Content-Type", "application/json")
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || err != nil {
			t.Errorf("got %d %s, %v", resp.StatusCode, body, err)
		}
		transport.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
