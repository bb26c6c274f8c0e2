package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/route"
)

// A tap is a ResponseWriter that can be read while it is written to.
type tap struct {
	mu     sync.Mutex
	text   strings.Builder
	header http.Header
}

func (w *tap) Header() http.Header { return w.header }
func (w *tap) WriteHeader(int)     {}
func (w *tap) Flush()              {}
func (w *tap) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// overviews returns the events so far.
func (w *tap) overviews(t *testing.T) []overview {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []overview
	for event := range strings.SplitSeq(strings.TrimSuffix(w.text.String(), "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(event, "event: overview\ndata: ")
		var o overview
		if err := json.Unmarshal([]byte(data), &o); !ok || err != nil {
			t.Fatalf("%v in %q", err, event)
		}
		all = append(all, o)
	}
	return all
}

// watch has s stream events until the returned func is called, which waits.
func watch(ctx context.Context, s *Server, fields ...string) (w *tap, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	r := httptest.NewRequest("GET", "/events", nil).WithContext(ctx)
	r.Host = "127.0.0.1:7000"
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w = &tap{header: http.Header{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.handler.ServeHTTP(w, r)
	}()
	return w, func() { cancel(); <-ended }
}

var withToken = []string{"Authorization", "Bearer " + adminToken}

func TestEventsComeAtOnceEachSecondAndOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		w, stop := watch(t.Context(), newServer(t, r, io.Discard), withToken...)
		defer stop()
		synctest.Wait()
		if got := w.overviews(t); len(got) != 1 || len(got[0].Hosts) != 4 || got[0].Status.Name != "lb-1" || got[0].Ring.Slots == 0 {
			t.Fatalf("at first: got %d events: %+v", len(got), got)
		}
		time.Sleep(streamEvery + time.Millisecond)
		synctest.Wait()
		if got := w.overviews(t); len(got) != 2 {
			t.Fatalf("after a second: got %d events, want 2", len(got))
		}
		r.change("ide-1", func(h *route.Host) { h.State = route.Maint })
		time.Sleep(streamWatch)
		synctest.Wait()
		got := w.overviews(t)
		if len(got) != 3 || got[2].Hosts[0].State != "maint" {
			t.Fatalf("after a change: got %d events, want 3 and ide-1 in maint", len(got))
		}
		if ct := w.Header().Get("Content-Type"); ct != "text/event-stream" {
			t.Errorf("Content-Type %q", ct)
		}
	})
}

// In a bubble, a stream that went on would be reported as a deadlock.
func TestEventsEndWithTheSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		fields := signedIn(t, s)
		w, stop := watch(t.Context(), s, fields...)
		time.Sleep(2 * streamEvery)
		send(s, "POST", "/signout", "", fields...)
		time.Sleep(streamEvery)
		before := len(w.overviews(t))
		time.Sleep(5 * streamEvery)
		if after := len(w.overviews(t)); after != before {
			t.Errorf("%d events came after signing out", after-before)
		}
		stop()
	})
}

func TestEventStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, newRegion(), io.Discard)
		var stops []func()
		for range maxStreams {
			_, stop := watch(t.Context(), s, withToken...)
			stops = append(stops, stop)
		}
		synctest.Wait()
		if w := ask(s, "GET", "/events", ""); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("one too many: got %d", w.Code)
		}
		stops[0]()
		_, stop := watch(t.Context(), s, withToken...)
		synctest.Wait()
		if len(s.streams) != maxStreams {
			t.Errorf("after one has ended: %d streams are open, want %d", len(s.streams), maxStreams)
		}
		for _, stop := range append(stops[1:], stop) {
			stop()
		}
	})
}
