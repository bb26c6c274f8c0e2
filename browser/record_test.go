package browser

import (
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// A record is what a tab's network and console have reported. Safe for concurrent
// use.
type record struct {
	mu      sync.Mutex
	answers map[string][]string // protocols of the answers to each path; no query, so no token
	sockets []string            // first lines of the answers to WebSocket handshakes
	closed  int                 // WebSockets that have ended
	faults  []string
}

func newRecord() *record { return &record{answers: map[string][]string{}} }

// hear takes down one event of the browser's protocol.
func (r *record) hear(event any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := event.(type) {
	case *network.EventResponseReceived:
		r.answerLocked(e.Response)
	case *network.EventWebSocketHandshakeResponseReceived:
		first, _, _ := strings.Cut(e.Response.HeadersText, "\r\n")
		r.sockets = append(r.sockets, first)
	case *network.EventWebSocketClosed:
		r.closed++
	case *runtime.EventExceptionThrown:
		r.faults = append(r.faults, e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			r.faults = append(r.faults, "console."+string(e.Type))
		}
	case *log.EventEntryAdded: // what the browser itself says, such as of a policy that is violated
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			r.faults = append(r.faults, string(e.Entry.Source)+": "+e.Entry.Text)
		}
	}
}

func (r *record) answerLocked(answer *network.Response) {
	path := "?"
	if u, err := url.Parse(answer.URL); err == nil {
		path = u.Path
	}
	r.answers[path] = append(r.answers[path], answer.Protocol)
}

// protocols returns the protocols of the answers so far, by path.
func (r *record) protocols() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string][]string{}
	for path, protocols := range r.answers {
		all[path] = slices.Clone(protocols)
	}
	return all
}

// handshakes returns the first line of each answer to a WebSocket handshake, and
// how many of the WebSockets have ended.
func (r *record) handshakes() (answers []string, closed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sockets), r.closed
}

// complaints returns the errors and warnings of the console.
func (r *record) complaints() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.faults)
}
