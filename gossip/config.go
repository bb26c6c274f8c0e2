package gossip

import (
	"cmp"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
)

// The labels by default.
const (
	PoolLabel  = "tokenring-pool"  // of hosts and balancers
	PeersLabel = "tokenring-peers" // of balancers only
)

// Config says where a gossip listens, and how it finds its members.
type Config struct {
	// Bind is the IP address and port, for TCP and UDP both, on which gossip
	// listens. Without an IP address it is all of them; port 0 is any free one.
	Bind string `yaml:"bind"`
	// Advertise is the IP address and port at which others reach Bind. Default:
	// Bind, or if that is no single address the one from which the first seed is
	// reached, or else the machine's only one. Never a floating address.
	Advertise string `yaml:"advertise"`
	// Join are the seeds: host:port of members, of which one is enough. Names
	// are looked up again at each attempt.
	Join []string `yaml:"join"`
	// SecretFile holds the secret that all members share, 32 bytes; or two of them while
	// it changes: the first is used to send. It is read again when it changes.
	SecretFile string `yaml:"secret_file"`
	// Label tells gossips apart. Default PoolLabel or PeersLabel.
	Label string `yaml:"label"`
}

// WithLabel returns c with a label if it has none.
func (c Config) WithLabel(label string) Config {
	c.Label = cmp.Or(c.Label, label)
	return c
}

// Options are what Open needs beside the configuration.
type Options struct {
	Self     announcement.Metadata  // what is announced at first
	Identity *announcement.Identity // of a host: signs what is announced; nil if nothing is signed
	Keys     *announcement.Keys     // by which hosts are verified; nil if they are not
	Filter   Filter                 // which members are admitted
	Messages Messages               // what is exchanged beside metadata; nil for nothing
	Timing   Timing                 // zero for LAN
	Log      zerolog.Logger

	wrap func(memberlist.NodeAwareTransport) memberlist.NodeAwareTransport // nil but in tests
}

// Timing is how fast a gossip is.
type Timing struct {
	Probe        time.Duration // between two probes
	ProbeTimeout time.Duration
	Gossip       time.Duration // between two rounds of messages
	PushPull     time.Duration // between two exchanges of all state
	Stream       time.Duration // bounds a TCP connect and an exchange
	ToTheDead    time.Duration // how long a dead node still gets messages; then memberlist forgets it
	Reclaim      time.Duration // how long a dead node keeps its name from another address
	Rejoin       time.Duration // between two attempts to find more members: this to three times as long
	RejoinAlone  time.Duration // the same while there are no members
	Leave        time.Duration // bounds each step of a departure
	Forget       time.Duration // how long a lost member is still called
	Secret       time.Duration // between two reads of the secret's file
}

// LAN notices a crash after about 3 s.
var LAN = Timing{
	Probe:        500 * time.Millisecond,
	ProbeTimeout: 200 * time.Millisecond,
	Gossip:       200 * time.Millisecond,
	PushPull:     15 * time.Second,
	Stream:       3 * time.Second,
	ToTheDead:    30 * time.Second,
	Reclaim:      5 * time.Second,
	Rejoin:       10 * time.Second,
	RejoinAlone:  time.Second,
	Leave:        3 * time.Second,
	Forget:       7 * 24 * time.Hour,
	Secret:       2 * time.Second,
}
