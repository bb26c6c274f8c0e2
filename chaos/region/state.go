package region

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A state is what balancers must agree on after a quiet time.
type state struct {
	Ring     string
	Hosts    []string // name, address, state, whether it is in the ring and serves
	Sessions []string // key, host and balancer of each terminal
}

// settled says why the balancers don't have all hosts in their rings and streams between them,
// or, if strict, what they don't agree on. It returns nil if all is well.
func (r *Region) settled(strict bool) error {
	var first state
	for i, b := range r.Balancers {
		s, err := b.state(r)
		if err != nil {
			return err
		}
		if !strict {
			s.Sessions = nil
		}
		if i == 0 {
			first = s
		}
		if strict {
			err = b.knows(r.ctx, s.Sessions)
		}
		if err := errors.Join(err,
			differ("ring", first.Ring, s.Ring), differ("hosts", strings.Join(first.Hosts, "; "), strings.Join(s.Hosts, "; ")),
			missing("sessions", first.Sessions, s.Sessions),
		); err != nil {
			return fmt.Errorf("%s and %s: %w", r.Balancers[0].Name, b.Name, err)
		}
	}
	return nil
}

// Unequal says what the balancers don't agree on, nil if nothing.
func (r *Region) Unequal() error { return r.settled(true) }

func differ(what, a, b string) error {
	if a == b {
		return nil
	}
	return fmt.Errorf("%s: %q and %q", what, a, b)
}

// missing compares two sorted lists.
func missing(what string, a, b []string) error {
	only := func(a, b []string) (all []string) {
		for _, x := range a {
			if _, found := slices.BinarySearch(b, x); !found {
				all = append(all, x)
			}
		}
		return all[:min(len(all), 5)]
	}
	left, right := only(a, b), only(b, a)
	if len(left) == 0 && len(right) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d and %d, of which these are only in one: %q, %q", what, len(a), len(b), left, right)
}

// state asks a balancer for its state. It is an error if a host isn't in the ring, or a stream
// isn't up.
func (b *Balancer) state(r *Region) (state, error) {
	var s state
	if err := b.ready(r.ctx); err != nil {
		return s, err
	}
	var status struct {
		Digest string `json:"ring_digest"`
		Agree  bool
		Peers  []struct {
			Name   string
			Alive  bool
			Stream struct{ Up bool }
		}
	}
	if err := b.get(r.ctx, "/v1/status", &status); err != nil {
		return s, err
	}
	s.Ring = status.Digest
	up := 0
	for _, p := range status.Peers {
		if p.Alive && p.Stream.Up {
			up++
		}
	}
	if up != balancers-1 || !status.Agree {
		return s, fmt.Errorf("%s has %d peers with streams, and agrees with them: %v", b.Name, up, status.Agree)
	}
	return s, errors.Join(b.hosts(r, &s), b.sessions(r, &s))
}

// knows says in what the balancer's own knowledge of its peers' sessions differs from all sessions.
func (b *Balancer) knows(ctx context.Context, sessions []string) error {
	metrics, err := b.metrics(ctx)
	if err != nil {
		return err
	}
	want := map[string]float64{"lb_sessions_split": 0}
	for _, o := range b.region.Balancers {
		if o != b {
			want[fmt.Sprintf("lb_sessions_at_peers{peer=%q}", o.Name)] = 0
		}
	}
	seen := map[string]bool{}
	for _, session := range sessions {
		fields := strings.Fields(session) // key, host, balancer
		metric := fmt.Sprintf("lb_sessions_at_peers{peer=%q}", fields[2])
		if _, peer := want[metric]; peer && !seen[fields[0]+metric] {
			seen[fields[0]+metric] = true
			want[metric]++
		}
	}
	for metric, n := range want {
		if metrics[metric] != n {
			err = errors.Join(err, fmt.Errorf("%s: %s is %v, want %v", b.Name, metric, metrics[metric], n))
		}
	}
	return err
}

func (b *Balancer) hosts(r *Region, s *state) error {
	var answer struct {
		Hosts []struct {
			Name, Address, State, Verdict string
			Weight                        int
			InRing                        bool `json:"in_ring"`
			Serving                       bool
		}
	}
	if err := b.get(r.ctx, "/v1/hosts", &answer); err != nil {
		return err
	}
	serving := 0
	for _, h := range answer.Hosts {
		s.Hosts = append(s.Hosts, fmt.Sprintf("%+v", h))
		if h.InRing && h.Serving {
			serving++
		}
	}
	slices.Sort(s.Hosts)
	if serving != hosts {
		return fmt.Errorf("%s has %d hosts that serve: %v", b.Name, serving, s.Hosts)
	}
	return nil
}

// Metrics returns the metrics of each balancer that answers, by its name. It is safe for concurrent
// use while the region is open.
func (r *Region) Metrics() map[string]map[string]float64 {
	all := map[string]map[string]float64{}
	for _, b := range r.Balancers {
		if metrics, err := b.metrics(r.ctx); err == nil {
			all[b.Name] = metrics
		}
	}
	return all
}

// Keys returns by which digests the balancers name tokens in their logs, as far as one answers.
// Tokens have the same keys before and after.
func (r *Region) Keys(tokens map[string]string) map[string]string {
	keys := map[string]string{}
	for name, token := range tokens {
		body, _ := json.Marshal(map[string]string{"token": token}) // never fails
		var answer struct {
			Digest string `json:"token_digest"`
		}
		for _, b := range r.Balancers {
			if b.ask(r.ctx, http.MethodPost, "/v1/explain", body, &answer) == nil {
				keys[name] = answer.Digest
				break
			}
		}
	}
	return keys
}

func (b *Balancer) sessions(r *Region, s *state) error {
	var answer struct {
		Sessions []struct{ Key, Host, Balancer string }
		Missing  []struct{ Balancer, Why string }
	}
	if err := b.get(r.ctx, "/v1/sessions?limit=4000", &answer); err != nil {
		return err
	}
	if len(answer.Missing) > 0 {
		return fmt.Errorf("%s: sessions are missing: %v", b.Name, answer.Missing)
	}
	for _, t := range answer.Sessions {
		s.Sessions = append(s.Sessions, t.Key+" "+t.Host+" "+t.Balancer)
	}
	slices.Sort(s.Sessions)
	return nil
}
