package pool

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"
)

var ErrUnknownHost = errors.New("no host of that name is known")

type Pool struct{}

func New(cfg Config, peers PeersConfig, o Options) (*Pool, error) { return &Pool{}, nil }

func (p *Pool) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func (p *Pool) Snapshot() *Snapshot { return NewSnapshot(nil, nil) }

func (p *Pool) Settled() <-chan struct{} { return nil }

func (p *Pool) Hear(host string, v Verdict, why string, at time.Time) {}

func (p *Pool) Decide(ctx context.Context, d Decision) error { return nil }

func (p *Pool) GossipAddr() string { return "" }

func (p *Pool) PeersAddr() string { return "" }

func RunAgent(ctx context.Context, cfg AgentConfig, log zerolog.Logger) error { return nil }

func ReadSecret(path string) ([]byte, error) { return nil, nil }
