package admin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

// signInFrom tries to sign in from an address, and returns the status.
func signInFrom(s *Server, remote, token string) int {
	r := httptest.NewRequest(http.MethodPost, "/signin", strings.NewReader(`{"token":"`+token+`"}`))
	r.Host, r.RemoteAddr = "127.0.0.1:7000", remote
	r.Header.Set("Origin", "http://127.0.0.1:7000")
	r.Header.Set("X-Lb-Dashboard", "1")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code
}

// TestWrongTokensOfOneSourceHinderNoOtherSource, nor the right token from the same
// source.
func TestWrongTokensOfOneSourceHinderNoOtherSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		const here, same, there = "[2001:db8::1]:1111", "[2001:db8::2]:2222", "[2001:db8:0:1::1]:1111"
		for range signInBurst {
			if got := signInFrom(s, here, "wrong"); got != http.StatusUnauthorized {
				t.Fatalf("within the limit: got %d", got)
			}
		}
		for _, row := range []struct {
			what, from, token string
			want              int
		}{
			{"beyond the limit", here, "wrong", http.StatusTooManyRequests},
			{"another address of the network", same, "wrong", http.StatusTooManyRequests},
			{"the right token from there", same, adminToken, http.StatusNoContent},
			{"the right token from the source itself", here, adminToken, http.StatusNoContent},
			{"another network", there, "wrong", http.StatusUnauthorized},
			{"the right token from another network", there, adminToken, http.StatusNoContent},
		} {
			if got := signInFrom(s, row.from, row.token); got != row.want {
				t.Errorf("%s: got %d, want %d", row.what, got, row.want)
			}
		}
		time.Sleep(signInEvery)
		if got := signInFrom(s, here, "wrong"); got != http.StatusUnauthorized {
			t.Errorf("after a pause: got %d, want 401", got)
		}
	})
}

func TestWrongTokensAreCountedAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newServer(t, newRegion(), &log)
		bearer := func() {
			send(s, "GET", "/v1/status", "", "Authorization", "Bearer MARKED")
		}
		for range 5 {
			bearer()
		}
		signInFrom(s, "10.0.0.7:1111", "MARKED")
		ask(s, "GET", "/v1/status", "") // the right one
		send(s, "GET", "/v1/status", "")
		for via, want := range map[string]float64{viaBearer: 5, viaSignIn: 1} {
			if got := testutil.ToFloat64(s.wrongTokens.total.WithLabelValues(via)); got != want {
				t.Errorf("%s: counted %v, want %v", via, got, want)
			}
		}
		// httptest's requests are from 192.0.2.1.
		want := []string{
			`"source":"192.0.2.1/32","by":"bearer","since_last_line":1`,
			`"source":"10.0.0.7/32","by":"sign-in","since_last_line":1`,
		}
		if got := strings.Count(log.String(), "\n"); got != len(want) {
			t.Errorf("%d lines, want one for each source:\n%s", got, &log)
		}
		time.Sleep(sourceLogEvery)
		bearer()
		for _, line := range append(want, `"source":"192.0.2.1/32","by":"bearer","since_last_line":5`) {
			if !strings.Contains(log.String(), line) {
				t.Errorf("no line with %s in\n%s", line, &log)
			}
		}
		if strings.Contains(log.String(), "MARKED") {
			t.Errorf("the log shows the token:\n%s", &log)
		}
	})
}

func TestManySourcesOfWrongTokensCostLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newWrongTokens(zerolog.New(&log))
		const again = "10.2.0.1:1" // comes again and again among the others
		for i := range 5 * maxSources {
			r.note(viaBearer, fmt.Sprintf("10.1.%d.%d:1", i/256, i%256))
			if i%(maxSources/2) == 0 {
				r.note(viaSignIn, again)
			}
		}
		if r.note(viaSignIn, again) {
			t.Error("a source that comes again and again has been forgotten")
		}
		if len(r.known) != maxSources || r.recent.Len() != maxSources {
			t.Errorf("%d sources are known, %d in order; want %d", len(r.known), r.recent.Len(), maxSources)
		}
		if got := strings.Count(log.String(), "\n"); got != logBurst {
			t.Errorf("%d lines at once, want %d", got, logBurst)
		}
		last := fmt.Sprintf("10.1.%d.%d:1", (5*maxSources-1)/256, (5*maxSources-1)%256)
		for range signInBurst - 1 {
			r.note(viaSignIn, last)
		}
		if r.note(viaSignIn, last) {
			t.Error("a source that was heard of just now has been forgotten")
		}
	})
}

// Whoever can connect can fail to, as often as he likes.
func TestFailedConnectionsDontFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newErrorLog(zerolog.New(&log))
		for range 1000 {
			fmt.Fprintln(c, "http: TLS handshake error from 10.0.0.7:1: EOF")
		}
		if got := strings.Count(log.String(), "\n"); got != logBurst {
			t.Errorf("%d lines, want %d", got, logBurst)
		}
		if !strings.Contains(log.String(), `{"level":"warn","error":"http: TLS handshake error from 10.0.0.7:1: EOF"`) {
			t.Errorf("got %s", &log)
		}
	})
}
