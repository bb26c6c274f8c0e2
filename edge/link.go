package edge

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/admin"
	"tokenring/counters"
	"tokenring/health"
	"tokenring/pool/handed"
	"tokenring/session"
	"tokenring/session/region"
	"tokenring/tlsterm"
)

// Two generations of a balancer talk over a link: the older one tells which sessions it
// carries, and passes connections on; the newer one asks for what the older one knows, and
// has terminals there ended.

// links are the links of a Generation.
type links struct {
	olders map[int]*older // written by addOlders only, before others read it
	counts *counts        // of the other generations
	orders chan struct{}  // closed, with mu held, when the older ones are given orders
	over   chan struct{}  // closed when the links are closed, after the Edge has ended

	mu     sync.Mutex
	newers map[int]*newer
	newest atomic.Pointer[newer] // that serves instead of this one
}

func newLinks() links {
	return links{olders: map[int]*older{}, newers: map[int]*newer{}, counts: newCounts(), orders: make(chan struct{}), over: make(chan struct{})}
}

// allNewers returns the links to newer generations.
func (l *links) allNewers() []*newer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.newers))
}

// Handed is what one process of a balancer hands over to the next one. It is meant for JSON.
type Handed struct {
	Pool       handed.State                   `json:"pool"`
	Health     health.State                   `json:"health"`
	Pools      map[string]handed.State        `json:"pools,omitempty"` // of the pools beside the main one, by name
	PoolHealth map[string]health.State        `json:"pool_health,omitempty"`
	Placements session.PlacementsState        `json:"placements"`
	Takers     []session.TakerState           `json:"takers,omitempty"`
	Region     region.State                   `json:"region"`
	Counts     map[int]counters.Counts        `json:"counts"`                // of generations that have ended
	Tickets    []tlsterm.TicketKey            `json:"tickets"`               // secrets
	OwnTickets map[string][]tlsterm.TicketKey `json:"own_tickets,omitempty"` // likewise, of listeners with own_tls, by address
	DigestKey  []byte                         `json:"digest_key,omitempty"`  // a secret: that of the digests of tokens
	Admin      admin.State                    `json:"admin"`
}

// pool returns what the pool gets of it; nil for nil.
func (h *Handed) pool() *handed.State {
	if h == nil {
		return nil
	}
	return &h.Pool
}

// How long another generation may take for an answer.
const (
	stateTimeout = 5 * time.Second
	passTimeout  = 2 * time.Second
)

// taken answers KindPass.
type taken struct {
	NotServed bool `json:"not_served,omitempty"` // there is no such listener any more: see proxy.ErrNotServed
}

// errNoNewest is the error of pass while no generation serves.
var errNoNewest = errors.New("no generation serves")

// close closes all links, and waits for their goroutines.
func (l *links) close() {
	close(l.over)
	for _, n := range l.allNewers() {
		n.conn.Close()
		n.ended.Wait()
	}
	for _, o := range l.olders {
		o.conn.Close()
		o.ended.Wait()
	}
}
