package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// fields is a JSON object.
type fields = map[string]any

// A pretence serves the dashboard's own files and answers its calls as a balancer
// would whose region a test has made up: in states that a demo doesn't come to. It
// does no more of the arithmetic than the pages show. Safe for concurrent use.
type pretence struct {
	url string

	mu        sync.Mutex
	version   int // of the region; tells the streams to look again
	status    fields
	ring      fields
	hosts     []fields
	processes []fields // the generations
	routes    []fields
	terminals []fields
	missing   []fields                 // whose terminals aren\'t listed
	answers   map[string]any           // to POST, by path; a what-if's is computed
	refused   map[string]bool          // calls that aren't known
	held      map[string]chan struct{} // calls that aren't answered before these are closed
	silent    int                      // how many streams of events say nothing: those that have the next turn
	paths     []string                 // of the pages that were asked for, with their queries
	received  []fields                 // the bodies of PATCH
	whatifs   []fields                 // the bodies of what-ifs
}

// startPretence serves a region of n hosts of weight 1 until the test ends.
func startPretence(t *testing.T, n int) *pretence {
	t.Helper()
	p := &pretence{hosts: []fields{}, processes: []fields{}, routes: []fields{}, missing: []fields{}, answers: map[string]any{}, refused: map[string]bool{}, held: map[string]chan struct{}{}}
	for i := 1; i <= n; i++ {
		p.hosts = append(p.hosts, fields{
			"name": fmt.Sprintf("ide-%d", i), "id": i, "address": fmt.Sprintf("10.0.0.%d:4000", 10+i), "zone": "fsn1",
			"weight": 1, "announced_weight": 1, "state": "ready", "verdict": "up", "in_ring": true, "serving": true, "full": false,
			"leaving": false, "sessions": 30 + i*7%11, "in_flight": i % 3, "requests": 4000 + 13*i, "connect_errors": 0, "resets": 0,
		})
	}
	p.status = fields{
		"name": "lb-1", "version": "v1.2.3", "uptime_seconds": 93600, "ready": true, "frozen": false, "agree": true,
		"ring_digest": "a41f09c26be35d77", "confirm_share": 0.5, "peers": []fields{}, "alarms": []string{}, "certificates": []fields{},
	}
	p.ring = fields{
		"digest": "a41f09c26be35d77", "policy": "consistent", "slots": 16381, "rebuilding": false,
		"parameters": fields{"partitions": 16381, "replicas": 160, "load": 1.25},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.page)
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServer(http.Dir("../admin/web"))))
	mux.HandleFunc("GET /events", p.events)
	mux.HandleFunc("GET /v1/generations", p.generations)
	mux.HandleFunc("GET /v1/routes", p.listRoutes)
	mux.HandleFunc("GET /v1/sessions", p.sessions)
	mux.HandleFunc("POST /v1/{call}", p.post)
	mux.HandleFunc("PATCH /v1/hosts/{name}", p.patch)
	server := httptest.NewServer(mux)
	t.Cleanup(server.CloseClientConnections) // of the streams; in reverse order, so before Close
	p.url = server.URL
	t.Cleanup(server.Close)
	return p
}

func (p *pretence) page(w http.ResponseWriter, r *http.Request) {
	p.change(func() { p.paths = append(p.paths, r.URL.String()) })
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'")
	page := template.Must(template.ParseFiles("../admin/web/dashboard.html"))
	_ = page.Execute(w, struct{ Name, Version string }{"lb-1", "v1.2.3"}) // an error means that the page has gone
}

// generations answers with the processes.
func (p *pretence) generations(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = json.NewEncoder(w).Encode(fields{"generations": p.processes}) // an error means that the page has gone
}

// listRoutes answers with the routes.
func (p *pretence) listRoutes(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = json.NewEncoder(w).Encode(fields{"routes": p.routes, "unmatched": fields{"does": "pool pool", "requests": 1}}) // an error means that the page has gone
}

// sessions answers with the terminals of a host.
func (p *pretence) sessions(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := []fields{}
	for _, t := range p.terminals {
		if t["host"] == r.FormValue("host") {
			all = append(all, t)
		}
	}
	_ = json.NewEncoder(w).Encode(fields{"sessions": all, "total": len(all), "missing": p.missing}) // an error means that the page has gone
}

// change changes the region. The pages show it at once.
func (p *pretence) change(how func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how()
	p.version++
}

// host returns the fields of a host, to be changed within change.
func (p *pretence) host(i int) fields { return p.hosts[i-1] }

// answer has a call of the API answer this.
func (p *pretence) answer(call string, body any) { p.change(func() { p.answers[call] = body }) }

// refuse has a call of the API be unknown.
func (p *pretence) refuse(call string) { p.change(func() { p.refused[call] = true }) }

// hold has a call of the API wait for its answer until release is called.
func (p *pretence) hold(call string) (release func()) {
	gate := make(chan struct{})
	p.change(func() { p.held[call] = gate })
	return func() {
		p.change(func() { delete(p.held, call) })
		close(gate)
	}
}

// wait waits until a call isn't held any more.
func (p *pretence) wait(call string) {
	p.mu.Lock()
	gate := p.held[call]
	p.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// pages returns what was asked for of the page's address so far.
func (p *pretence) pages() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.paths)
}

// asked returns the bodies of all what-ifs so far.
func (p *pretence) asked() []fields {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.whatifs)
}

// decisions returns the bodies of all PATCHes so far.
func (p *pretence) decisions() []fields {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.received)
}

// events sends the region whenever it has changed, and every second.
func (p *pretence) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	if p.saysNothing() {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var at time.Time
	for sent := -1; ; {
		p.mu.Lock()
		version, data := p.version, p.overviewLocked()
		p.mu.Unlock()
		if version != sent || time.Since(at) >= time.Second {
			sent, at = version, time.Now()
			fmt.Fprintf(w, "event: overview\ndata: %s\n\n", data)
			w.(http.Flusher).Flush()
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// saysNothing reports whether this stream is one of those that stay silent.
func (p *pretence) saysNothing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent--
	return p.silent >= 0
}

// overviewLocked is what the dashboard shows, with what follows from the hosts
// filled in.
func (p *pretence) overviewLocked() []byte {
	shares, serving, sessions := []fields{}, 0, 0
	fair := fairShares(p.hosts)
	for _, h := range p.hosts {
		share := fair[h["name"].(string)]
		h["share"] = share
		sessions += h["sessions"].(int)
		if h["serving"].(bool) {
			serving++
		}
		if h["in_ring"].(bool) {
			shares = append(shares, fields{"host": h["name"], "weight": h["weight"], "share": share, "fair": share, "ratio": 1})
		}
	}
	status, ring := maps.Clone(p.status), maps.Clone(p.ring)
	status["hosts"] = fields{"total": len(p.hosts), "serving": serving}
	status["sessions"], status["in_flight"] = sessions, 7
	ring["shares"] = shares
	data, err := json.Marshal(fields{"status": status, "hosts": p.hosts, "ring": ring})
	if err != nil {
		panic(err)
	}
	return data
}

// fairShares returns the shares of the hosts that are in the ring, by name.
func fairShares(hosts []fields) map[string]float64 {
	total := 0
	for _, h := range hosts {
		if h["in_ring"].(bool) {
			total += h["weight"].(int)
		}
	}
	shares := map[string]float64{}
	for _, h := range hosts {
		if h["in_ring"].(bool) {
			shares[h["name"].(string)] = float64(h["weight"].(int)) / float64(total)
		}
	}
	return shares
}

func (p *pretence) post(w http.ResponseWriter, r *http.Request) {
	call := r.PathValue("call")
	p.wait(call)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused[call] {
		reply(w, http.StatusNotFound, fields{"detail": "there is no such call"})
		return
	}
	if call != "whatif" {
		reply(w, http.StatusOK, p.answers[call])
		return
	}
	var body fields
	data, _ := io.ReadAll(r.Body) // what is missing of it doesn't decode
	var question change
	if err := errors.Join(json.Unmarshal(data, &body), json.Unmarshal(data, &question)); err != nil {
		reply(w, http.StatusUnprocessableEntity, fields{"detail": err.Error()})
		return
	}
	p.whatifs = append(p.whatifs, body)
	reply(w, http.StatusOK, p.whatif(question))
}

func (p *pretence) patch(w http.ResponseWriter, r *http.Request) {
	var body fields
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		reply(w, http.StatusUnprocessableEntity, fields{"detail": err.Error()})
		return
	}
	p.wait("hosts")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received = append(p.received, body)
	if p.refused["hosts"] {
		reply(w, http.StatusNotFound, fields{"detail": "there is no such host"})
		return
	}
	name := r.PathValue("name")
	question := change{Leave: []string{name}}
	if weight, ok := body["weight"].(float64); ok {
		question = change{Weights: map[string]int{name: int(weight)}}
	}
	moved := p.whatif(question)["moved"].(float64)
	if limit, asks := body["max_moved"].(float64); asks && moved > limit {
		reply(w, http.StatusConflict, fields{"detail": "not without being asked", "moved": moved, "max_moved": limit})
		return
	}
	reply(w, http.StatusOK, fields{})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
