package ctl

import "time"

// This file has the fields of the API's answers that lb ctl reads. A balancer of another
// version may leave fields out. A field is a pointer where missing differs from zero.

// A reply is an answer of the API. It is sound if it has the fields that all versions
// send. Any JSON object can be decoded, and another service's answer must not count as a
// balancer's.
type reply interface{ sound() bool }

type status struct {
	agreement
	Name          string
	Version       string
	UptimeSeconds int64 `json:"uptime_seconds"`
	Ready         bool
	NotReady      string `json:"not_ready"`
	Hosts         struct{ Total, Ready, Drain, Maint, Up, Down, Serving int }
	Sessions      int64
	AtPeers       int64    `json:"sessions_at_peers"`
	InFlight      int64    `json:"in_flight"`
	ConfirmShare  *float64 `json:"confirm_share"`
	Waiting       *waiting // nil if nothing waits
	Certificates  []struct {
		Names    []string
		NotAfter time.Time `json:"not_after"`
		File     string
		Problem  string
	}
}

func (s status) sound() bool { return s.Name != "" }

// waiting is which changes of the ring wait because balancers are missing.
type waiting struct {
	For          []string
	Since, Until time.Time
	Changes      []string
}

type ring struct {
	agreement
	Pool       string
	Version    uint64
	BuiltAt    time.Time `json:"built_at"`
	Rebuilding bool
	Policy     string
	Parameters map[string]any
	Key        []string
	Slots      int
	SlowStart  float64 `json:"slow_start_seconds"`
	Bounded    float64 `json:"bounded_load"`
	Shares     []struct {
		Host               string
		Weight             int
		Share, Fair, Ratio float64
	}
	Past *past
}

func (r ring) sound() bool { return r.Policy != "" }

// An agreement has the fields about the ring that status and ring share.
type agreement struct {
	Digest        string
	RingDigest    string `json:"ring_digest"` // Digest, as status names it
	Frozen        bool
	FrozenSince   time.Time `json:"frozen_since"`
	FrozenUntil   time.Time `json:"frozen_until"`
	Alarm         string
	Alarms        []string // in status: the ring's alarm and all others
	Agree         bool
	DisagreeSince time.Time `json:"disagree_since"`
	Peers         []peer
}

type peer struct {
	Name, Address, Version string
	Alive, Agrees          bool
	Digest                 string `json:"ring_digest"`
	Since                  time.Time
	Stream                 *struct {
		Up  bool
		Why string `json:"why_not"`
	}
}

type host struct {
	Name, Address     string
	Origin            string // "" from a balancer of an earlier version
	State, Reason, By string
	Zone              string
	Drain             *drain // nil if it has no deadline
	Verdict           string
	CheckError        string `json:"check_error"`
	hostReturn
	hostStanding
	hostWeight
	ListedBy           *struct{ By, Reason string } `json:"listed_by"`
	Sessions, Requests int64
	AtPeers            int64 `json:"sessions_at_peers"`
	hostRequests
	Votes *votes
}

// hostRequests are the requests of a host at this moment.
type hostRequests struct {
	InFlight       int64 `json:"in_flight"`
	Queued         int64
	MaxConnections int64 `json:"max_connections"` // 0 for any number
}

// hostReturn is that a host was down, and gets its tokens back when it has been steady.
type hostReturn struct {
	ReturnsAt   time.Time `json:"returns_at"`   // zero if it isn't so
	SteadySince time.Time `json:"steady_since"` // zero if the last check has failed
}

// hostWeight is where the weight of a host comes from.
type hostWeight struct {
	Weight         int
	Announced      *int                         `json:"announced_weight"`
	WeightOverride *struct{ By, Reason string } `json:"weight_decided"`
}

// hostStanding is the place of a host in the ring.
type hostStanding struct {
	WhyNot        string `json:"why_not"`
	Backup        bool
	Waits         string // what waits of it because balancers are missing
	Serving, Full bool
	Share         float64
	SlowStart     *struct {
		Until time.Time
		Taken float64
	} `json:"slow_start"`
}

// votes are what the checks of all balancers say of a host. A balancer of an earlier version
// says nothing of them.
type votes struct {
	Here   string
	DownAt []string `json:"down_at"`
	Held   bool
	Text   string
}

// differ reports whether there is more to say than that all balancers have it up.
func (v *votes) differ() bool { return v != nil && (v.Held || len(v.DownAt) > 0 || v.Here == "down") }

func (h host) sound() bool { return h.Name != "" && h.State != "" }

type hostList struct{ Hosts []host }

func (l hostList) sound() bool { return l.Hosts != nil }

type poolKey struct{ Gossips []gossip }

func (p poolKey) sound() bool { return p.Gossips != nil }

type gossip struct {
	Gossip  string
	Secrets []struct {
		Digest string
		Sends  bool
		Heard  int
	}
	Since   time.Time
	Problem string
	Members []secretMember
}

type secretMember struct {
	Role, Name, Address string
	Lost                bool
	Secret              string
	HeardAt             time.Time `json:"heard_at"`
}

type explanation struct {
	Digest     string `json:"token_digest"`
	RingDigest string `json:"ring_digest"`
	Policy     string
	Slot       int
	Slots      int
	SlotShare  float64 `json:"slot_share"`
	Point      *uint32
	Host       string
	Rule       string
	Reason     string
	Session    *struct {
		Host    string
		Tunnels int
	}
	Stays []struct {
		Host, Rule, Balancer string
		Since                time.Time
	}
	Candidates []struct {
		Host, Role, State, Verdict string
		Chosen                     bool
		WhyNot                     string `json:"why_not"`
	}
	Past *moment
}

func (e explanation) sound() bool { return e.Rule != "" }

type whatif struct {
	Method               string
	Moved, Ideal, Astray float64
	Sessions             int
	SessionsMoved        int  `json:"sessions_moved"`
	SessionsAstray       int  `json:"sessions_astray"`
	SessionsExact        bool `json:"sessions_exact"`
	Routes               []struct {
		From, To string
		Share    float64
		Sessions int
	}
	RoutesLeftOut     int `json:"routes_left_out"`
	Before, After     table
	ConfirmShare      float64 `json:"confirm_share"`
	NeedsConfirmation bool    `json:"needs_confirmation"`
}

func (a whatif) sound() bool { return a.Method != "" }

type table struct {
	Digest, Policy string
	Slots          int
	Hosts          []tableHost
}

type tableHost struct {
	Host     string
	Weight   int
	Share    float64
	Sessions int
}

// tooMuch is the body of the refusal of an override that would move too many tokens.
type tooMuch struct {
	Moved         *float64
	MaxMoved      float64 `json:"max_moved"`
	Sessions      int
	SessionsMoved int  `json:"sessions_moved"`
	SessionsExact bool `json:"sessions_exact"`
}
