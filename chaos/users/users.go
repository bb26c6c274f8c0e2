// Package users is the users of a chaos run. Each has a token and terminals, types, opens second
// tabs, sends requests, changes balancers, and connects again when something ends. Beside them come
// strangers, whose tokens are new.
package users

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
)

// TokenPrefix is what each token begins with. It mustn't be found in any file of a run.
const TokenPrefix = "chaos-secret-"

// A Balancer is where users connect.
type Balancer struct{ Name, Address string }

// Users are all users. Make them with New.
type Users struct {
	balancers []Balancer
	clients   []*http.Client // one for each balancer
	calm      atomic.Bool
	tokens    map[string]string // by digest

	mu     sync.Mutex
	events []oracle.Event

	all       []*user
	strangers []*stranger
}

// New returns so many users of balancers. Who they are and what they do follows from the seed;
// when they do it depends on the machine.
func New(count int, balancers []Balancer, seed uint64) *Users {
	u := &Users{balancers: balancers, tokens: map[string]string{}}
	for range balancers {
		transport := &http.Transport{
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(count)},
			MaxIdleConnsPerHost: 60, IdleConnTimeout: 10 * time.Second,
		}
		u.clients = append(u.clients, &http.Client{Transport: transport})
	}
	for i := range count {
		rng := rand.New(rand.NewPCG(seed, uint64(i)+1))
		token := fmt.Sprintf("%s%016x", TokenPrefix, rng.Uint64())
		u.tokens[record.Digest(token)] = token
		u.all = append(u.all, &user{
			users: u, token: token, digest: record.Digest(token), rng: rng,
			at: rng.IntN(len(balancers)), ended: make(chan *tab, 64),
		})
	}
	for i := range strangers {
		u.strangers = append(u.strangers, &stranger{users: u, rng: rand.New(rand.NewPCG(seed, uint64(count+i)+1))})
	}
	return u
}

// Run lets the users work until ctx ends, and waits for them.
func (u *Users) Run(ctx context.Context) {
	var working sync.WaitGroup
	for _, one := range u.all {
		working.Go(func() { one.work(ctx) })
	}
	for _, one := range u.strangers {
		working.Go(func() { one.work(ctx) })
	}
	working.Wait()
	for _, c := range u.clients {
		c.CloseIdleConnections()
	}
}

// Calm has all users go on typing, and open and close nothing.
func (u *Users) Calm() { u.calm.Store(true) }

// Tokens returns the tokens of all users, but not those of strangers, by their digests. It mustn't
// be changed.
func (u *Users) Tokens() map[string]string { return u.tokens }

// Events returns what users have seen so far, in order.
func (u *Users) Events() []oracle.Event {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]oracle.Event(nil), u.events...)
}

func (u *Users) note(e oracle.Event) {
	e.At = record.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.events = append(u.events, e)
}
