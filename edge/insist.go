package edge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"tokenring/admin"
	"tokenring/route"
	"tokenring/session"
)

// runConnected tells the pool to which peers this balancer is connected, until ctx ends.
func (e *Edge) runConnected(ctx context.Context) error {
	for {
		names := e.connectedPeers()
		e.pool.Connected(names)
		for _, p := range e.parts {
			p.pool.Connected(names)
		}
		e.peersChanged.Leave()
		select {
		case <-e.streams.Changed():
		case <-ctx.Done():
			return nil
		}
	}
}

// connectedPeers returns the names of the peers to which both streams are open.
func (e *Edge) connectedPeers() (names []string) {
	for _, s := range e.streamStatus() {
		if s.Up && s.Heard {
			names = append(names, s.Name)
		}
	}
	return names
}

// askInsist is the question by which a balancer has a connected one go on, too, without peers
// that are missing. It has the JSON of an insistence, and the answer that of an insisted.
const askInsist = "insist"

// An insistence is that changes of the ring wait no longer for peers.
type insistence struct {
	Peers []string `json:"peers"` // all that are missing if it is empty
}

// An insisted says for which balancers changes have waited.
type insisted struct {
	Ended []string `json:"ended"`
}

// insist has this balancer, and all to which it is connected, go on without peers.
func (e *Edge) insist(ctx context.Context, peers []string) (admin.Insisted, error) {
	ended, err := e.insistHere(ctx, peers)
	if err != nil {
		return admin.Insisted{}, err
	}
	done := admin.Insisted{Peers: ended, By: []string{e.cfg.Name}}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, name := range e.connectedPeers() {
		asking.Go(func() {
			err := e.ask(ctx, name, askInsist, insistence{peers}, new(insisted))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				done.Missing = append(done.Missing, session.Missing{Balancer: name, Why: err.Error()})
				return
			}
			done.By = append(done.By, name)
		})
	}
	asking.Wait()
	return done, nil
}

// insistHere has all pools go on without peers. It returns for which any has waited; the error is
// route.ErrNothingWaits if none has.
func (e *Edge) insistHere(ctx context.Context, peers []string) ([]string, error) {
	ended, err := e.pool.Insist(ctx, peers)
	for _, p := range e.parts {
		more, other := p.pool.Insist(ctx, peers)
		ended = append(ended, more...)
		if err == nil || errors.Is(err, route.ErrNothingWaits) { // of several, the worse
			err = cmp.Or(other, err)
		}
	}
	if len(ended) > 0 && errors.Is(err, route.ErrNothingWaits) {
		err = nil
	}
	slices.Sort(ended)
	return slices.Compact(ended), err
}

// answerInsist goes on without balancers because an operator of a peer says so.
func (e *Edge) answerInsist(ctx context.Context, peer string, question []byte) ([]byte, error) {
	var i insistence
	if err := json.Unmarshal(question, &i); err != nil {
		return nil, err
	}
	ended, err := e.insistHere(ctx, i.Peers)
	if err != nil && !errors.Is(err, route.ErrNothingWaits) { // it may miss none of them
		return nil, err
	}
	e.opt.Logger.Info().Str("peer", peer).Strs("asked", i.Peers).Strs("balancers", ended).Msg("an operator of a peer goes on without balancers")
	return json.Marshal(insisted{ended})
}
